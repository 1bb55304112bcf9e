"""Evergreen: a machine-learning pipeline whose model stays fresh."""

from typing import TYPE_CHECKING

from evergreen import code

if TYPE_CHECKING:
    from evergreen.dataset import Dataset

__all__ = ["Dataset", "__version__"]
__version__ = "0.1.0"

code.begin()


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for: `evergreen --help` needs no polars."""
    if name == "Dataset":
        from evergreen.dataset import Dataset

        return Dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
