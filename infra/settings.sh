#!/bin/sh
# Write, once, what compose.yaml needs: infra/.env (settings of this machine) and infra/secrets/ (made for it, its owner's).
set -eu
cd "$(dirname "$0")/.."
umask 077
python3 - <<'END'
import json, os, pathlib, secrets

here = os.stat(".")  # whose it is, also where root runs this
env, kept, login = pathlib.Path("infra/.env"), pathlib.Path("infra/secrets"), pathlib.Path("stores/login")

def own(path):
    if os.getuid() == 0:
        os.chown(path, here.st_uid, here.st_gid)

def write(path, text, mode):
    if not path.exists():
        part = path.with_name(f".part-{os.getpid()}-{path.name}")
        part.write_text(text)
        part.chmod(mode)
        own(part)
        part.replace(path)

# The folder of secrets is closed; within it whoever a container runs as may read what is mounted
for name, mode in {"infra/secrets": 0o700, "infra/s3": 0o700, "stores": 0o755, "stores/artifacts": 0o755, "data": 0o755, "feedback": 0o755}.items():
    if not (folder := pathlib.Path(name)).is_dir():
        folder.mkdir(mode=mode)
        folder.chmod(mode)
        own(folder)
known = login.read_text().strip() if login.exists() else f"evergreen:{secrets.token_urlsafe(32)}"
known = (kept / "login").read_text().strip() if (kept / "login").exists() else known
name, key = ((kept / part).read_text() if (kept / part).exists() else secrets.token_hex(24) for part in ("s3-name", "s3-key"))
made = {
    "database": secrets.token_hex(24),
    "login": known,  # one for Prefect, MLflow, predictions and Grafana
    "password": known.partition(":")[2],
    "session": secrets.token_hex(24),
    "webhook": "",  # of a chat, for a person to fill in
    "s3-name": name,
    "s3-key": key,
    "s3.json": json.dumps({"identities": [{"name": "mlflow", "credentials": [{"accessKey": name, "secretKey": key}], "actions": ["Admin"]}]}),
}
for file, text in made.items():
    write(kept / file, text, 0o644)
write(login, known, 0o600)
write(env, f"COMPOSE_PROFILES=cpu\nUSER_ID={here.st_uid}\nGROUP_ID={here.st_gid}\nWORK_CPUS={os.cpu_count()}\n", 0o600)
END
