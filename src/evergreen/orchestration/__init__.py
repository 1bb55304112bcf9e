"""What knows Prefect: steps as tasks, the servers, the watch on the source, a run's output."""
