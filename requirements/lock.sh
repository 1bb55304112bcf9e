#!/bin/sh
# Pin what pyproject.toml asks for, with hashes and without download addresses. Needs uv.
set -eu
cd "$(dirname "$0")/.."
compile() { uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 "$@"; }
uv pip compile --group build --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements/build.txt
compile --group build -o requirements/run.txt
compile --group build --group dev -c requirements/run.txt -o requirements/dev.txt
# template: begin infra
uv pip compile --group server --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
    -c requirements/dev.txt -o requirements/server.txt
# template: end infra
# template: begin template-only
uv pip compile --group template --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
    -c requirements/dev.txt -o requirements/template.txt
# template: end template-only
