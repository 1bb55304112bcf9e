"""History once more under several retraining policies."""
