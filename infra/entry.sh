#!/bin/sh
# Run a command with each NAME_FILE of the environment read into NAME: a secret then stands in no
# file of Compose, and in no description of a container.
set -eu
held=${SECRETS:-/run/secrets}
for pair in $(env | sed -n 's/^\([A-Z][A-Z0-9_]*\)_FILE=\(.*\)$/\1=\2/p'); do
    name=${pair%%=*} path=${pair#*=}
    case $path in "$held"/*) ;; *) continue ;; esac   # other programs have such names too
    [ -r "$path" ] || { echo "error: $name: $path cannot be read: make stack writes it" >&2; exit 1; }
    export "$name=$(cat "$path")"
    unset "${name}_FILE"
done
exec "$@"
