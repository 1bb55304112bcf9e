"""The champion over HTTP: one process, one loaded model at a time, the same bits as a batch."""
