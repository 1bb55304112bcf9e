"""The life of a model: compared, decided upon, promoted, rolled back."""
