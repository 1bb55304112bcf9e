"""What a metric is, and those that the library brings.

Numbers only, so that a project can add its own.
"""
