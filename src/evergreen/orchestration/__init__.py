"""What knows Prefect: each step as a task, the servers, the watch on the source, what a run prints."""
