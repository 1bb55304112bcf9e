"""The servers of the stack, once for all tests of a process that break or attack them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from infra.stacked import Servers, start


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with start(tmp_path_factory.mktemp("stack")) as found:
        yield found
