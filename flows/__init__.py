"""Order only: which step, how often retried, what the Prefect UI shows."""
