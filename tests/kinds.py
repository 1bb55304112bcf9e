"""Which test is of which kind: one table, so that a kind can be run apart.

    make kind KIND=security            # or: pytest $(python tests/kinds.py security)

A file is of the kind of its longest beginning in the table, so each is of one; what is in none is
of software. The kinds follow docs/quality.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent
REST = "software"
KINDS: Mapping[str, Sequence[str]] = {
    # What comes in: sources, batches, features, what is odd in them, what drifts
    "data": (
        "adopt/", "features/", "ingest/", "late_flights/", "monitoring/test_drift",
        "monitoring/test_windows", "papers/test_columns", "papers/test_croissant",
        "papers/test_data_sections", "papers/test_datasheet", "papers/test_responsible", "quality/",
        "statistics/", "validation/", "e2e/test_adopt", "e2e/test_few_rows", "project/test_dataset",
        "promotion/test_poisoned_batch",
    ),
    # How good models are, and how that is decided
    "model": (
        "diagnosis/", "evaluation/", "export/", "metrics/", "monitoring/", "papers/test_card",
        "papers/test_performance", "papers/test_registration", "papers/test_sections", "promotion/",
        "recipes/", "replay/", "scoring/", "training/", "tuning/", "e2e/test_life",
        "e2e/test_monitor", "e2e/test_papers", "e2e/test_replay", "e2e/test_scoring",
    ),
    # What it runs on: stores, servers, containers, schedules, kills, installations
    "infrastructure": (
        "backup/", "infra/", "migrate/", "orchestration/", "reproduce/", "serving/", "stores/",
        "template/", "e2e/test_backup",
        "e2e/test_kills", "e2e/test_old", "e2e/test_serving", "e2e/test_two_projects",
        "e2e/test_up", "test_doctor",
        "test_formats", "test_update", "test_wheel", "training/test_cluster",
    ),
    # Who may read and do what: secrets, logins, foreign pages, code in files, attacks, licences
    "security": (
        "adopt/test_read", "e2e/test_bad_input", "infra/test_attacks",
        "infra/test_compose_policies", "ingest/test_memory",
        "orchestration/test_guard", "orchestration/test_login", "papers/test_bill",
        "papers/test_licences", "promotion/test_attacks", "report/test_page",
        "scoring/test_package_files", "serving/test_body", "stores/test_client",
        "stores/test_model_files", "test_redact",
    ),
}  # fmt: skip


def kind_of(path: str) -> str:
    """The kind of a test file, given by its path below tests/."""
    fits = [(len(start), kind) for kind, starts in KINDS.items() for start in starts
            if path.startswith(start)]  # fmt: skip
    return max(fits)[1] if fits else REST


def files_of(kind: str) -> list[Path]:
    found = sorted(TESTS.rglob("test_*.py"))
    return [path for path in found if kind_of(path.relative_to(TESTS).as_posix()) == kind]


def main(arguments: Sequence[str]) -> int:
    kinds = [*KINDS, REST]
    if len(arguments) != 1 or arguments[0] not in kinds:
        print(f"error: name one kind: {', '.join(kinds)}", file=sys.stderr)
        return 1
    print(*(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            for path in files_of(arguments[0])))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
