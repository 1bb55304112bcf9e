"""Evergreen: a machine-learning pipeline whose model stays fresh."""

from evergreen import code

__version__ = "0.1.0"

code.keep()
