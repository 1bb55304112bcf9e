"""What is tested here imports Prefect."""

from isolation import _environment, project  # noqa: F401
