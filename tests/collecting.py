"""Which tests are collected, in which order, and how many examples are drawn."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).resolve().parent
# No deadline: a busy machine is slow by chance
settings.register_profile("test", deadline=None, max_examples=60)
settings.register_profile("unit", deadline=None, max_examples=20)
settings.load_profile("test")
gc.set_threshold(50_000, 20, 50)  # at Python's 700, to import takes a fifth longer
ALL_SLOW = re.compile(r"^pytestmark = .*\bmark\.slow\b", re.MULTILINE)
LONGEST = (  # ten CPU seconds and more; each file is run by one worker
    "test_up.py", "test_run.py", "test_kills_of_a_run.py", "test_whole.py", "test_adopt.py",
    "test_compose.py", "test_bad_input.py", "test_life.py", "test_changes.py", "test_scoring.py",
    "test_golden.py", "test_monitor.py", "test_replay.py", "test_edited.py", "test_performance.py",
    "test_make_it_yours.py", "test_bake.py", "test_extensions.py", "test_few_rows.py",
    "test_outside.py", "test_registry.py", "test_versions.py", "test_dvc_record.py",
    "test_update.py", "test_people.py", "test_migrate.py", "test_doctor.py", "test_dvc_changes.py",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples where only quick tests are asked for."""
    if "not slow" in config.option.markexpr:
        settings.load_profile("unit")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files that hold slow tests only, unless those are asked for.

    They load libraries that take seconds.
    """
    if "not slow" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    return bool(ALL_SLOW.search(collection_path.read_text())) or None


@pytest.hookimpl(tryfirst=True)  # before those of a marker are chosen
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker has it left when the others are done.

    The whole run that a new project tests itself by is done there, by template/test_whole.py.
    """
    for item in items:
        if item.path == TESTS / "project" / "test_run.py":
            item.add_marker(pytest.mark.long)
    items.sort(
        key=lambda item: (
            LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)
        )
    )


def pytest_collection_finish() -> None:
    """Freeze what is loaded: collecting it as garbage takes a sixth of the quick tests' time."""
    gc.collect()
    gc.freeze()
