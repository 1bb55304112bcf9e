"""A project with data in DVC, a database and a model, beside a folder for its backups."""

from __future__ import annotations

import pytest
from backup.backed import register
from staged import own_cache, settled, staged_template  # noqa: F401

from evergreen.project import Project


@pytest.fixture
def project(settled: Project, own_cache: None) -> Project:  # noqa: F811
    """Two versions, a login, a prediction, a batch in the inbox, and an edit not committed."""
    for version in (1, 2):
        register(settled, version)
    for name, content in {
        "stores/login": "owner:secret",
        "stores/run.lock": "",
        "stores/replay/data/raw/big.parquet": "x",
        "stores/reproduced/1/made/metrics.json": "x",
        "stores/.part-1-gone/model.ubj": "half",
        "data/predictions/2013-06/1.parquet": "0.5",
        "inbox/new.csv": "a,b",
        "notes.md": "not committed\n",
    }.items():
        path = settled.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return settled
