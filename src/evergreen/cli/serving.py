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
@click.option("--check", is_flag=True, help="Only say whether it can be served.")
def serve(host: str, port: int | None, *, wait: bool, check: bool) -> None:
    """Predict over HTTP with the champion, and follow when another becomes it."""
    from evergreen.serving import serve as serving

    with open_project(lock=False) as (project, params):
        if check:
            version = serving.check(project, params, wait=wait)
            click.echo(f"version {version} can be served" if version else "there is no champion")
            return
        serving.serve(project, params, host, params.serve.port if port is None else port, wait=wait)
