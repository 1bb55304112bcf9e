"""From features to models: arrays, learners, the sweep over seeds, cross-validation."""
