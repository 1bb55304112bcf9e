#!/bin/sh
# Write a snapshot of everything into FOLDER while runs go on: infra/backup.sh FOLDER (`evergreen docs backup`).
# First both databases, then the files that they name, which are written before they are named and never changed.
set -eu
[ $# = 1 ] || { echo "infra/backup.sh FOLDER: where snapshots go, on another disk" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
[ -e infra/.env ] || { echo "error: infra/.env is missing: there is no stack here (make stack)" >&2; exit 1; }
. infra/.env
compose="docker compose -f infra/compose.yaml"
find "$folder" -maxdepth 1 -name '.stack-*' -mtime +0 -exec rm -rf {} +   # of one that was killed
held=$(mktemp -d "$folder/.stack-XXXXXX")   # its owner's alone, on the disk that has to hold it
trap 'rm -rf "$held"' EXIT
trap 'exit 1' INT TERM
for name in mlflow prefect; do
    $compose exec -T postgres pg_dump --username evergreen --format custom "$name" > "$held/$name.dump"
done
cp -R infra/secrets "$held/secrets"
case ${ARTIFACTS:-} in
    s3:*) $compose exec -T mlflow infra/entry.sh python -m evergreen.backup.objects "$ARTIFACTS" /artifacts ;;
esac
mkdir -p stores/stack
chown "$USER_ID:$GROUP_ID" "$folder" "$held" "$held"/* "$held/secrets"/* stores/stack 2>/dev/null || true   # as root
case ",$COMPOSE_PROFILES," in *,gpu,*) work=work-gpu ;; *) work=work ;; esac
$compose run --rm --no-deps -T --volume "$held:/project/stores/stack:ro" --volume "$folder:/backup" $work evergreen backup /backup
