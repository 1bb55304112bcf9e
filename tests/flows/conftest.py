"""Prefect reads its settings when it is imported: what tests import of it starts no server and keeps no files."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from unittest import mock

import pytest

HOME = tempfile.mkdtemp(prefix="evergreen-prefect-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ |= {"PREFECT_HOME": HOME, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """What a test changes in the environment is changed back."""
    with mock.patch.dict(os.environ):
        os.environ.pop("PREFECT_API_URL", None)
        yield
