"""The Prefect tasks behind the steps: how often each is retried, how long it may take."""
