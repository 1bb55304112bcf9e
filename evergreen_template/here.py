"""A Jinja extension that tells hooks where the template lies.

cookiecutter and cruft render them with it as folder.
"""

import os

from jinja2 import Environment
from jinja2.ext import Extension


class Here(Extension):
    """Gives templates `template_folder()`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_folder"] = os.getcwd
