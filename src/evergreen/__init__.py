"""Evergreen: a machine-learning pipeline whose model stays fresh."""

__version__ = "0.1.0"
