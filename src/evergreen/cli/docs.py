"""`evergreen docs`: the pages of the documentation, from the installed library or its source."""

from __future__ import annotations

from pathlib import Path

import click

from evergreen.cli.table import show_table


@click.command()
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Show a page of the documentation, or list all pages."""
    from evergreen.errors import InputError

    pages = find_docs()
    if page is None:
        show_table(["page", "about"], [[name, _title(path)] for name, path in pages.items()])
    elif page not in pages:
        raise InputError(f"there is no page {page!r}: there are {', '.join(pages)}")
    else:
        click.echo_via_pager(pages[page].read_text(encoding="utf-8").rstrip("\n"))


def find_docs() -> dict[str, Path]:
    """Return name -> file of each page and example: in the installed library, or in its source."""
    package = Path(__file__).resolve().parents[1]
    places = (package / "docs", package.parents[1] / "docs")
    folder = next((place for place in places if place.is_dir()), package)
    pages = {path.stem: path for path in sorted(folder.glob("*.md"))}
    changelog = folder.with_name("CHANGELOG.md")  # beside the source; a page of the wheel
    if changelog.is_file():
        pages["changelog"] = changelog
    return pages | {path.name: path for path in sorted(folder.glob("*.py"))}


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].strip('# "')
