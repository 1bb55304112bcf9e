#!/bin/sh
# Start the servers of compose.yaml; infra/.env, written once, holds passwords made for this machine.
set -eu
cd "$(dirname "$0")/.."
if [ ! -e infra/.env ]; then
    umask 077
    python3 - > infra/.env.part <<'END'
import os, secrets
for name in ("DATABASE_PASSWORD", "LOGIN_PASSWORD", "SESSION_KEY"):
    print(f"{name}={secrets.token_hex(24)}")
here = os.stat(".")
print(f"USER_ID={here.st_uid}\nGROUP_ID={here.st_gid}")
END
    mv infra/.env.part infra/.env
    umask 022
fi
mkdir -p stores/artifacts data feedback
docker compose -f infra/compose.yaml up --build --detach --wait
. infra/.env
echo "Prefect http://127.0.0.1:${PREFECT_PORT:-4200}, MLflow http://127.0.0.1:${MLFLOW_PORT:-5000}: the login is in infra/.env"
echo "predictions http://127.0.0.1:${SERVE_PORT:-8000}: the login is in stores/login"
