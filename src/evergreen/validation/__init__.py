"""Which rows of a batch are valid: the project's expectations, checked by Great Expectations."""
