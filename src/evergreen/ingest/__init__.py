"""From a source to batches as they were delivered: files, a database, a module of one's own."""
