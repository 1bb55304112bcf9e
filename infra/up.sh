#!/bin/sh
# Start the servers of compose.yaml; infra/.env and infra/secrets, written once, are this machine's.
set -eu
cd "$(dirname "$0")/.."
infra/settings.sh
docker compose -f infra/compose.yaml build prefect
docker compose -f infra/compose.yaml up --detach --wait
. infra/.env
echo "Prefect http://127.0.0.1:${PREFECT_PORT:-4200}, MLflow http://127.0.0.1:${MLFLOW_PORT:-5000}, predictions http://127.0.0.1:${SERVE_PORT:-8000}"
case ",$COMPOSE_PROFILES," in *,observe,*) echo "Grafana http://127.0.0.1:${GRAFANA_PORT:-3000}" ;; esac
echo "login    infra/secrets/login holds it (user:password; Prefect wants it as one line)"
