"""Fill the new project from the reference project, which is the template's own repository."""

import sys

sys.dont_write_bytecode = True
TEMPLATE = r"""{{ template_folder() }}"""
sys.path.insert(0, TEMPLATE)

from evergreen_template.bake import main  # noqa: E402

main([TEMPLATE, ".", "--start"])
