"""Labels: which of them a loss can take, and where one is that it cannot."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from evergreen.metrics.by_loss import check_taken

if TYPE_CHECKING:
    from evergreen.dataset import Dataset
    from evergreen.features.split import Part
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.training.tables import Tables


def check_labels(project: Project, dataset: Dataset, params: Params, tables: Tables) -> None:
    """Raise InputError where the loss cannot take a label of some part of the split.

    It names the first such value and its row, and how many there are.
    """
    from evergreen.features.split import ROLES, Split

    loss = params.train.loss_for(params.task)
    split = Split.of(project)
    for role in ROLES:
        table, part = getattr(tables, role), getattr(split, role)
        check_taken(loss, table.y, partial(_place_of, project, dataset, part))


def _place_of(project: Project, dataset: Dataset, part: Part, at: int) -> str:
    """Return the batch of a row, by its place in a part of the split, and its key or number."""
    from evergreen.features.keys import KEY, key_columns
    from evergreen.features.row_numbers import describe_rows
    from evergreen.features.split import read_part

    if not dataset.key:
        return describe_rows(project, dataset, part, [at])[0]
    for batch in part.batches:
        rows = read_part(project, replace(part, batches=(batch,)))
        if at < rows.height:
            named = [f"{name.removeprefix(KEY)} {rows[name][at]}" for name in key_columns(rows)]
            return f"{batch}, {', '.join(named)}"
        at -= rows.height
    raise IndexError(at)
