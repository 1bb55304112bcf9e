"""YOURS: the definition, what is expected of a batch, and where batches come from."""
