"""From valid rows to features: preparation, the split, the encoders, the keys of rows."""
