#!/bin/sh
# Bring everything back from FOLDER, into a new clone of a snapshot's code.bundle: infra/restore.sh FOLDER (`evergreen docs backup`).
# What was killed is done again by the same command; a stack that has models already is refused.
set -eu
[ $# = 1 ] && [ -d "$1" ] || { echo "infra/restore.sh FOLDER: that infra/backup.sh wrote to, or a snapshot in it" >&2; exit 2; }
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
snapshot=$folder
[ -e "$folder/backup.json" ] || snapshot=$(for path in "$folder"/*/backup.json; do echo "${path%/backup.json}"; done | sort | tail -n 1)
saved=$snapshot/project/stores/stack
[ -e "$saved/mlflow.dump" ] || { echo "error: $snapshot holds no databases of a stack: infra/backup.sh writes them" >&2; exit 1; }
umask 077
[ -e infra/secrets ] || { cp -R "$saved/secrets" infra/.part-secrets && chmod 644 infra/.part-secrets/* && mv infra/.part-secrets infra/secrets; }
umask 022
infra/settings.sh
. infra/.env
compose="docker compose -f infra/compose.yaml"
$compose build prefect
$compose up --detach --wait postgres
asked() { $compose exec -T postgres psql --username evergreen --no-psqlrc --tuples-only --no-align --dbname "$1" --command "$2"; }
tables() { asked "$1" "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"; }
if [ ! -e stores/stack/mlflow.dump ] || [ -e stores/.restoring ]; then   # the mark of one that was killed
    for name in mlflow prefect; do
        [ "$(tables $name)" = 0 ] || { echo "error: the database $name holds something already: restore into a new clone, or forget it with docker compose -f infra/compose.yaml down --volumes" >&2; exit 1; }
    done
    case ",$COMPOSE_PROFILES," in *,gpu,*) work=work-gpu ;; *) work=work ;; esac
    $compose run --rm --no-deps -T --volume "$snapshot:/backup:ro" $work evergreen restore /backup
fi
rm -rf stores/stack/secrets
for name in mlflow prefect; do   # each whole or not at all
    [ "$(tables $name)" != 0 ] || $compose exec -T postgres pg_restore --username evergreen --dbname "$name" --no-owner --single-transaction --exit-on-error < "stores/stack/$name.dump"
done
case ${ARTIFACTS:-} in
    s3:*)
        $compose up --detach --wait mlflow
        $compose exec -T mlflow infra/entry.sh python -m evergreen.backup.objects /artifacts "$ARTIFACTS" ;;
esac
rm -rf stores/stack
echo "restored from $snapshot: make stack"
