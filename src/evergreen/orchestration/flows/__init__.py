"""The flows that a project takes as they are: scoring and replay.

A file of the same name in `flows/` takes the place of one of these.
"""
