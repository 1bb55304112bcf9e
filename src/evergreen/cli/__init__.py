"""`evergreen ...`: thin commands by topic; what takes long to import is imported inside them."""

from __future__ import annotations

import atexit
import gc
import sys

import click

from evergreen import __version__
from evergreen.cli import (
    backup,
    compare,
    data,
    diagnosis,
    docs,
    export,
    migrate,
    monitoring,
    papers,
    project,
    promotion,
    replay,
    reproduce,
    scoring,
    services,
    serving,
    status,
    training,
    tuning,
)
from evergreen.cli.group import Commands, print_without_secrets


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evergreen")
def main() -> None:
    """A machine-learning pipeline whose model stays fresh."""
    sys.excepthook = print_without_secrets
    # At Python's 700, all libraries are looked through again and again while they load
    gc.set_threshold(50_000)
    # Else Python ends by looking through all libraries for garbage, which takes a second
    atexit.register(gc.freeze)


for command in (
    data.ingest,
    data.validate,
    data.stage,
    training.run,
    scoring.score,
    export.export,
    serving.serve,
    monitoring.monitor,
    replay.replay,
    reproduce.reproduce,
    compare.compare,
    tuning.tune,
    diagnosis.diagnose,
    status.status,
    promotion.promote,
    promotion.rollback,
    promotion.history,
    backup.backup,
    backup.restore,
    project.adopt,
    project.doctor,
    project.update,
    migrate.migrate,
    papers.papers,
    docs.docs,
    services.up,
):
    main.add_command(command)
