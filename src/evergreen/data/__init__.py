"""From a source to features: batches, validation, preparation."""
