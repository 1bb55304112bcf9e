"""`compose.yaml` by policy, and each policy by files that break it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from infra.compose_policies import COMPOSE
from infra.test_compose import TEXT

IMAGE = "    image: postgres:17\n"
VARIABLES = (
    "    environment:\n      POSTGRES_DB: prefect\n      POSTGRES_USER: evergreen\n"
    "      POSTGRES_PASSWORD_FILE: /run/secrets/database\n"
)
BREAKS = {
    "runs_as_root": [
        ("    user: postgres\n", ""),
        ("    user: postgres\n", "    user: root\n"),
        ("    user: nobody\n", '    user: "0:0"\n'),
        ('"${USER_ID:?run make stack}:${GROUP_ID:?run make stack}"', '"${USER_ID:-0}:1000"'),
    ],
    "has_rights": [
        ("  cap_drop: [ALL]\n", ""),
        ("  cap_drop: [ALL]\n", "  cap_drop: [NET_RAW]\n"),
        ("  cap_drop: [ALL]\n", "  cap_drop: [ALL]\n  cap_add: [SYS_ADMIN]\n"),
        ('["no-new-privileges:true"]', '["no-new-privileges:false"]'),
        ('["no-new-privileges:true"]', '["no-new-privileges:true", "seccomp:unconfined"]'),
        (IMAGE, f"{IMAGE}    privileged: true\n"),
        (IMAGE, f"{IMAGE}    devices: [/dev/sda]\n"),
    ],
    "writes_to_its_image": [
        ("  read_only: true\n", ""),
        (IMAGE, f"{IMAGE}    read_only: false\n"),
    ],
    "is_unlimited": [
        ("  mem_limit: 1g\n", ""),
        ("  cpus: 1\n", ""),
        ("  pids_limit: 256\n", ""),
        ("{max-size: 10m, max-file", "{max-file"),
    ],
    "is_not_checked": [
        ("      test: [CMD, pg_isready", "      disable: true\n      test: [CMD, pg_isready"),
        ("      test: [CMD, pg_isready", "      test: [NONE, pg_isready"),
        ("    healthcheck:   # it lives", "    x-healthcheck:   # it lives"),
        ("  restart: unless-stopped\n", ""),
        ("  restart: unless-stopped\n", '  restart: "no"\n'),
        ("depends_on: {postgres: {condition: service_healthy}}", "depends_on: [postgres]"),
        ("mlflow: {condition: service_healthy}", "mlflow: {condition: service_started}"),
    ],
    "is_of_any_version": [
        ("postgres:17", "postgres"),
        ("postgres:17", "postgres:latest"),
        ("prom/prometheus:v3.13.2", "host:5000/prometheus"),
        ("chrislusf/seaweedfs:4.48", "chrislusf/seaweedfs:latest"),
        ("    build: {context: .., dockerfile: infra/Dockerfile}\n", "    image: it:latest\n"),
    ],
    "opens_a_port": [
        ('["127.0.0.1:${PREFECT_PORT:-4200}:4200"]', '["${PREFECT_PORT:-4200}:4200"]'),
        ('["127.0.0.1:${PREFECT_PORT:-4200}:4200"]', '["0.0.0.0:${PREFECT_PORT:-4200}:4200"]'),
        ('["127.0.0.1:${MLFLOW_PORT:-5000}:5000"]', '["${HOST:-127.0.0.1}:5000:5000"]'),
        ('["127.0.0.1:${SERVE_PORT:-8000}:8000"]', "[8000]"),
        ('["127.0.0.1:${SERVE_PORT:-8000}:8000"]', "[{target: 8000, published: 8000}]"),
        (IMAGE, f'{IMAGE}    ports: ["5432"]\n'),
    ],
    "reaches_the_host": [
        (IMAGE, f"{IMAGE}    network_mode: host\n"),
        (IMAGE, f"{IMAGE}    pid: host\n"),
        ('volumes: ["./s3:/data"]', 'volumes: ["/:/data"]'),
        ('volumes: ["./s3:/data"]', 'volumes: ["~/.ssh:/data"]'),
        ('volumes: ["./s3:/data"]', 'volumes: ["../../other:/data"]'),
        ('volumes: ["..:/project"]', 'volumes: ["/var/run/docker.sock:/var/run/docker.sock"]'),
        ('volumes: ["./s3:/data"]', "volumes: [{type: bind, source: /etc, target: /data}]"),
    ],
    "tells_a_secret": [
        ("PGPASSWORD_FILE: /run/secrets/database", "PGPASSWORD: hunter2"),
        ("PGPASSWORD_FILE: /run/secrets/database", "PGPASSWORD: ${DATABASE_PASSWORD}"),
        ("PGPASSWORD_FILE: /run/secrets/database", "PGPASSWORD_FILE: /project/password"),
        ("s3-name, s3-key]", "s3-key]"),
        ("secrets: [database, password, session,", "secrets: [database, password,"),
        ("postgresql+psycopg:///mlflow", "postgresql+psycopg://evergreen:hunter2@postgres/mlflow"),
        ("  login: {file: secrets/login}", "  login: {environment: LOGIN}"),
        ("  login: {file: secrets/login}", "  login: {file: login}"),
        (IMAGE, f"{IMAGE}    env_file: [.env]\n"),
        (VARIABLES, "    environment: [POSTGRES_PASSWORD=hunter2]\n"),
    ],
    "sees_the_secrets": [
        ('"/project/infra/secrets:uid=${USER_ID}", ', ""),
        ('"/project/infra/s3:uid=${USER_ID}"', '"/project/infra/s3x:uid=${USER_ID}"'),
        ("    tmpfs: *private\n", ""),
    ],
    "names_what_is_not_there": [
        ("  webhook: {file: secrets/webhook}\n", ""),
        ("  metrics:\n", ""),
        ("depends_on: {prometheus: {", "depends_on: {prom: {"),
    ],
}  # fmt: skip


def read(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    return content


def test_the_file_keeps_to_every_policy() -> None:
    content = read(TEXT)
    assert {name: rule(content) for name, rule in COMPOSE.items() if rule(content)} == {}


@pytest.mark.parametrize(
    ("rule", "line", "wrong"),
    [(rule, *change) for rule, changes in BREAKS.items() for change in changes],
)
def test_what_breaks_a_policy_is_found(rule: str, line: str, wrong: str) -> None:
    assert line in TEXT
    assert COMPOSE[rule](read(TEXT.replace(line, wrong))) != []


def test_every_policy_has_a_file_that_breaks_it() -> None:
    assert set(BREAKS) == set(COMPOSE)
