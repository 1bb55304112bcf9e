"""Summaries of batches and distances between them."""
