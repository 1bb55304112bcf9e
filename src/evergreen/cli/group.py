"""The group of all commands: a user's mistake ends in one message, without a traceback."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click


class Commands(click.Group):
    """A group whose commands end with one message where the user can mend what is wrong."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; exit code 1 for a mistake, 130 for Ctrl-C."""
        from evergreen.errors import explain

        try:
            return super().invoke(context)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("stopped; run again to continue", err=True)
            sys.exit(130)
        except Exception as error:
            explained = explain(error)
            if explained is None:
                raise
            click.secho("error: ", fg="red", bold=True, nl=False, err=True)
            click.echo(f"{explained}{_where_logged(error)}", err=True)
            sys.exit(1)


def print_without_secrets(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print the traceback of an unexpected error, its secrets masked: a `sys.excepthook`."""
    from evergreen.redact import redact

    click.echo(redact("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)


def _where_logged(error: BaseException) -> str:
    """Log the traceback of an explained error; return where, as the end of its message."""
    from evergreen.errors import LOG, InputError, log_traceback
    from evergreen.project import Project

    try:
        stores = Project.find().stores
    except (InputError, OSError):  # a folder that is gone
        return ""
    return f" (where it happened: {stores.name}/{LOG})" if log_traceback(error, stores) else ""
