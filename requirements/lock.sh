#!/bin/sh
# Pin what pyproject.toml asks for, with hashes and without download addresses. Needs uv.
set -eu
cd "$(dirname "$0")/.."
pin() { uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 "$@"; }
pin --group build -o requirements/build.txt
pin pyproject.toml --extra pipeline --group build -o requirements/run.txt
pin pyproject.toml --extra pipeline --group build --group dev -c requirements/run.txt -o requirements/dev.txt
pin --group server -c requirements/dev.txt -o requirements/server.txt
pin pyproject.toml --extra onnx -c requirements/dev.txt -o requirements/onnx.txt
pin --group template -c requirements/dev.txt -o requirements/template.txt
pin pyproject.toml --extra cluster -c requirements/dev.txt -o requirements/cluster.txt
