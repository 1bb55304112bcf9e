"""A version made again from what is recorded of it, and compared."""
