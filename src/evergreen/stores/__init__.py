"""What is kept: the only callers of DVC, MLflow and git."""
