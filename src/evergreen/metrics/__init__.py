"""What a metric is, and those that the library brings: numbers only, so that a project can add its own."""
