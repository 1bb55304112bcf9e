#!/bin/sh
# Apply an overlay to the cluster that kubectl is connected to: `infra/kubernetes/up.sh small`.
# Passwords are made in the cluster, once, and lie in no file. REPOSITORY: what `work` clones; default: this one's origin.
set -eu
cd "$(dirname "$0")"
ls overlays | grep -qxF -- "${1:-}" || { echo "error: name an overlay: $(ls overlays | paste -sd ' ' -)" >&2; exit 1; }
name=evergreen-pipeline
kubectl apply -f base/namespace.yaml
if [ -z "$(kubectl -n $name get secret servers --ignore-not-found -o name)" ]; then
    repository=${REPOSITORY:-$(git remote get-url origin)} || { echo "error: set REPOSITORY, the URL that the cluster clones" >&2; exit 1; }
    REPOSITORY=$repository python3 - <<'END' | kubectl -n $name create secret generic servers --from-env-file=/dev/stdin
import os, secrets
for name in ("DATABASE_PASSWORD", "LOGIN_PASSWORD", "SESSION_KEY"):
    print(f"{name}={secrets.token_hex(24)}")
print(f"REPOSITORY={os.environ['REPOSITORY']}")
END
fi
kubectl apply -k "overlays/$1"
echo "pages: kubectl -n $name port-forward deploy/prefect 4200, deploy/mlflow 5000, deploy/serve 8000"
echo "login: kubectl -n $name get secret servers -o jsonpath='{.data.LOGIN_PASSWORD}' | base64 -d"
