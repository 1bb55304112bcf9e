"""What is kept: all that reads or writes DVC and MLflow, and git as far as a run records it."""
