#!/bin/sh
# Make .venv hold exactly what requirements/ pins, hash-checked: `./setup.sh run` or `./setup.sh dev`.
# Uses uv where it is there, else pip. Does nothing where nothing changed.
set -eu
cd "$(dirname "$0")"
kind=${1:-run}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: Python 3.11 or newer is needed, $python is $("$python" -V 2>&1): set PYTHON=/path/to/a/newer/python" >&2
    exit 1
}
wanted=$(cat setup.sh pyproject.toml requirements/*.txt | git hash-object --stdin)
for have in .venv/installed-dev ".venv/installed-$kind"; do
    [ -f "$have" ] && [ "$(cat "$have")" = "$wanted" ] && exit 0
done
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setting up .venv ($kind), once"
if command -v uv >/dev/null 2>&1; then
    install() { uv pip install --quiet --python .venv/bin/python "$@"; }
    compile=--compile-bytecode
else
    install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
    compile=
fi
install --require-hashes --no-deps -r requirements/build.txt
install --require-hashes --no-deps --no-build-isolation $compile -r "requirements/$kind.txt"
if [ -d vendor ]; then   # the library as a wheel: of one version, maybe not of one content
    install --require-hashes --no-deps --force-reinstall $compile -r requirements/library.txt
elif [ "$kind" = dev ]; then
    install --require-hashes --no-deps $compile -r requirements/server.txt -r requirements/template.txt \
        -r requirements/cluster.txt -r requirements/onnx.txt
fi
install --no-build-isolation --no-deps --editable .
mkdir -p .dvc/tmp   # where `dvc repro` by itself looks up how the library does each step
ln -sfn "$(.venv/bin/python -c 'from evergreen import recipes; print(recipes.__file__)')" .dvc/tmp/recipes.py
echo "$wanted" > ".venv/installed-$kind"
