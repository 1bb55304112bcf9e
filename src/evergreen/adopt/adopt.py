"""Adopt: all that a project needs for a table, worked out before the first file is written."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from evergreen.adopt.batching import Batches, cut_into_batches
from evergreen.adopt.declare import declare
from evergreen.adopt.expect import expect
from evergreen.adopt.infer import infer
from evergreen.adopt.params_patch import INBOX, patch_params
from evergreen.adopt.plan import Plan, plan
from evergreen.adopt.read import Table, read
from evergreen.adopt.report import describe_columns, make_report
from evergreen.adopt.wishes import Wishes
from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project


@dataclass(frozen=True)
class Adoption:
    """What will be written, and the report for the screen.

    `texts`: path below the project -> text. `batches`: path -> bytes.
    """

    texts: Mapping[str, str] = field(repr=False)
    batches: Mapping[str, bytes] = field(repr=False)
    report: str
    plan: Plan = field(repr=False)


def adopt(
    project: Project, params: Params, source: str, wishes: Wishes, table: str | None = None
) -> Adoption:
    """Return what to write for the table in `source`; nothing is written yet.

    Raises InputError where the table cannot be read, or a wish cannot be met.
    """
    rows = read(source, table, wishes.nulls)
    found = infer(rows, wishes.time, wishes.dates)
    if unused := [form for form in wishes.dates if form not in found.dialect.dates]:
        raise InputError(
            f"--dates {unused[0]!r} fits no column: write it as strptime does, such as %d.%m.%Y "
            "%H:%M"
        )
    planned = plan(found, wishes, params.leaks)
    allowed = params.validation.max_bad_rows if wishes.max_bad_rows is None else wishes.max_bad_rows
    batches = cut_into_batches(rows, found, planned, allowed, wishes.period)
    before = project.params.read_text(encoding="utf-8")
    settled, changes = patch_params(before, rows, found, planned, batches, wishes.max_bad_rows)
    report = make_report(rows, found, planned, batches, changes)
    texts = {
        f"src/{project.package}/dataset.py": declare(rows, found, planned),
        f"src/{project.package}/expectations.py": expect(found, planned, batches, project.package),
        "params.yaml": settled,
        "reports/adopt.md": f"{report}\n{describe_columns(found, planned)}",
    }
    for path, text in texts.items():
        if path.endswith(".py"):
            ast.parse(text)  # a fault of the program is seen before anything is written
    return Adoption(texts, _as_files(rows, batches), report, planned)


def _as_files(table: Table, batches: Batches) -> dict[str, bytes]:
    """Return path -> bytes of the batches, in their own dialect; a database keeps its own."""
    import io

    if table.kind == "sql":
        return {}
    if len(batches.rows) == 1:
        return {f"{INBOX}/{name}.{table.kind}": table.content for name in batches.rows}
    files = {}
    for name, rows in batches.rows.items():
        part, written = table.rows[rows], io.BytesIO()
        if table.kind == "parquet":
            part.write_parquet(written)
            content = written.getvalue()
        else:
            part.write_csv(written, separator=table.separator)
            content = written.getvalue().decode("utf-8").encode(table.encoding)
        files[f"{INBOX}/{name}.{table.kind}"] = content
    return files
