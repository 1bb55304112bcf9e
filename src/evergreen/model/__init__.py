"""From features to a model: matrix, sweep, evaluation, package."""
