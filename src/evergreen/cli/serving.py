"""`evergreen serve`: the champion over HTTP."""

from __future__ import annotations

import click

from evergreen.cli.session import open_project


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Default: serve.port of params.yaml; 0: any that is free.",
)
@click.option("--wait", is_flag=True, help="Start without a champion too: 503 until there is one.")
def serve(host: str, port: int | None, *, wait: bool) -> None:
    """Predict over HTTP with the champion, and follow when another becomes it."""
    from evergreen.serving.serve import serve as run

    with open_project(lock=False) as (project, params):
        run(project, params, host, params.serve.port if port is None else port, wait=wait)
