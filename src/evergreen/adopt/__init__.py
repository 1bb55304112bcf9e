"""Adopt: from a table somebody has to `dataset.py`, `expectations.py` and a source of batches."""
