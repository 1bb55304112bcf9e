"""The flows that a project takes as they are: scoring and replay. A file of its name in `flows/` comes before one of these."""
