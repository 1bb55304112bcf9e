"""Kubernetes: the files as they stand and each overlay, by schema, by policy, by who reaches whom.

No cluster is needed. `kubernetes.json.xz` are the parts of Kubernetes' own schemas (1.37, closed:
an unknown key is an error) that these files use.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT
from infra.policies import KUBERNETES, containers
from infra.reaching import Peer, allows

FILES = ROOT / "infra" / "kubernetes"
BASE = {path.name: path.read_text() for path in sorted((FILES / "base").glob("*.yaml"))}
PLACES = ["base", *(f"overlays/{path.name}" for path in sorted((FILES / "overlays").iterdir()))]
SCHEMAS = json.loads(lzma.decompress((Path(__file__).parent / "kubernetes.json.xz").read_bytes()))
KUBECTL = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on the PATH")


@cache
def parse(text: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(text, yaml.CSafeLoader))


def read(texts: dict[str, str]) -> list[dict[str, Any]]:
    """Return what the files of the base define."""
    return [r for name, text in texts.items() if name != "kustomization.yaml" for r in parse(text)]


@cache
def rendered(place: str) -> list[dict[str, Any]]:
    command = ["kubectl", "kustomize", str(FILES / place)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


def faults(resources: list[dict[str, Any]]) -> list[str]:
    """Return what does not fit Kubernetes' schemas."""
    found = []
    for resource in resources:
        kind = SCHEMAS["kinds"].get(f"{resource.get('apiVersion')} {resource.get('kind')}")
        if kind is None:
            found.append(f"{resource.get('kind')}: unknown")
            continue
        checker = jsonschema.Draft202012Validator(kind | {"$defs": SCHEMAS["$defs"]})
        found += [
            f"{resource['metadata']['name']}: {e.message}" for e in checker.iter_errors(resource)
        ]
    return found


def broken(name: str, line: str, wrong: str) -> list[dict[str, Any]]:
    assert line in BASE[name], (name, line)
    return read(BASE | {name: BASE[name].replace(line, wrong)})


# --- the files
# --------------------------------------------------------------------------------------------------


def test_the_base_fits_the_schemas_and_every_policy() -> None:
    resources = read(BASE)
    assert faults(resources) == []
    assert {name: rule(resources) for name, rule in KUBERNETES.items() if rule(resources)} == {}
    listed = yaml.safe_load(BASE["kustomization.yaml"])["resources"]
    assert set(listed) == set(BASE) - {"kustomization.yaml"}


@KUBECTL
@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_what_kustomize_makes_of_it_fits_too(place: str) -> None:
    resources = rendered(place)
    assert faults(resources) == []
    assert {name: rule(resources) for name, rule in KUBERNETES.items() if rule(resources)} == {}
    assert {r["metadata"].get("namespace") for r in resources if r["kind"] != "Namespace"} == {
        "evergreen-pipeline"
    }
    assert len(resources) == len(read(BASE))


@KUBECTL
@pytest.mark.slow
def test_an_overlay_changes_what_it_says_and_nothing_else() -> None:
    def changed(place: str) -> set[str]:
        before = {(r["kind"], r["metadata"]["name"]): r for r in rendered("base")}
        now = {(r["kind"], r["metadata"]["name"]): r for r in rendered(place)}
        return {name for (_, name), r in now.items() if r != before[r["kind"], name]}

    assert changed("overlays/small") == {"project", "backups", "work"}
    train = {name: c for name, c in containers(rendered("overlays/gpu")) if name == "train/train"}
    given = train["train/train"]["resources"]
    assert given["limits"]["nvidia.com/gpu"] == given["requests"]["nvidia.com/gpu"] == 1
    assert given["limits"]["memory"] == "16Gi"
    asks = [
        n
        for n, c in containers(rendered("overlays/gpu"))
        if "nvidia.com/gpu" in str(c["resources"])
    ]
    assert asks == ["train/train"]


@pytest.mark.parametrize(
    ("name", "line", "wrong"),
    [
        ("work.yaml", "replicas: 1", "replica: 1"),
        ("work.yaml", "replicas: 1", "replicas: one"),
        ("postgres.yaml", "serviceName: postgres", "serviceName: [postgres]"),
        ("prefect.yaml", "port: 4200", "port: {http: 4200}"),
        ("backup.yaml", "activeDeadlineSeconds: 14400", "activeDeadlineSeconds: 4h"),
        ("backup.yaml", "kind: CronJob", "kind: CronJobs"),
        ("network.yaml", "policyTypes: [Egress]", "policyType: [Egress]"),
        ("volumes.yaml", "accessModes: [ReadWriteMany]", "accessModes: ReadWriteMany"),
    ],
)
def test_a_slip_in_a_file_is_found(name: str, line: str, wrong: str) -> None:
    resources = broken(name, line, wrong)
    assert faults([resource for resource in resources if resource not in read(BASE)]) != []


BREAKS = {
    "runs_as_root": [
        ("prefect.yaml", "runAsNonRoot: true, ", ""),
        ("work.yaml", "runAsUser: 1000", "runAsUser: 0"),
        ("train.yaml", "{allowPrivilegeEscalation", "{runAsUser: 0, allowPrivilegeEscalation"),
    ],
    "calls_anything": [("serve.yaml", "RuntimeDefault", "Unconfined")],
    "has_rights": [
        ("mlflow.yaml", "drop: [ALL]", "drop: [NET_RAW]"),
        ("postgres.yaml", "{drop: [ALL]}", "{drop: [ALL], add: [CHOWN]}"),
        ("work.yaml", "allowPrivilegeEscalation: false", "privileged: true"),
    ],
    "writes_to_its_image": [("backup.yaml", "readOnlyRootFilesystem: true, ", "")],
    "is_unlimited": [
        ("serve.yaml", 'limits: {cpu: "4", memory: 4Gi}', 'limits: {cpu: "4"}'),
        ("train.yaml", "requests: {cpu: \"2\", memory: 4Gi}, ", ""),
        ("prefect.yaml", "emptyDir: {sizeLimit: 1Gi}", "emptyDir: {}"),
    ],
    "is_not_probed": [
        ("serve.yaml", "livenessProbe", "startupProbe"),
        ("prefect.yaml", "readinessProbe", "startupProbe"),
    ],
    "is_of_any_version": [
        ("postgres.yaml", "postgres:17", "postgres:latest"),
        ("postgres.yaml", "postgres:17", "postgres"),
        ("work.yaml", "pipeline:1", "pipeline"),
        ("work.yaml", "evergreen-pipeline:1", "host:5000/evergreen-pipeline"),
    ],
    "reaches_the_node": [
        ("work.yaml", "emptyDir: {sizeLimit: 20Gi}", "hostPath: {path: /}"),
        ("serve.yaml", "    spec:\n", "    spec:\n      hostNetwork: true\n"),
        ("serve.yaml", "containerPort: 8000", "containerPort: 8000, hostPort: 8000"),
        ("serve.yaml", "spec:\n  selector: {app", "spec:\n  type: NodePort\n  selector: {app"),
    ],
    "tells_a_secret": [
        ("work.yaml", 'value: "$(LOGIN_PASSWORD)"', "value: hunter2"),
        ("work.yaml", 'value: "evergreen:$(LOGIN_PASSWORD)"', 'value: "evergreen:hunter2"'),
        ("backup.yaml", "pg_dumpall --clean", "PGPASSWORD=hunter2 pg_dumpall --clean"),
        ("postgres.yaml", "kind: ConfigMap", "kind: Secret"),
    ],
    "speaks_to_the_cluster": [
        ("work.yaml", "automountServiceAccountToken: false\n      ", ""),
        ("work.yaml", "enableServiceLinks: false\n      ", ""),
        ("postgres.yaml", "kind: ConfigMap", "kind: RoleBinding"),
    ],
    "runs_twice": [
        ("work.yaml", "replicas: 1", "replicas: 2"),
        ("work.yaml", "type: Recreate", "type: RollingUpdate"),
        ("train.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow"),
    ],
    "lets_everybody_in": [("network.yaml", "[Ingress, Egress]", "[Ingress]")],
    "is_not_restricted": [("namespace.yaml", "enforce: restricted", "enforce: baseline")],
    "names_what_is_not_there": [
        ("serve.yaml", "name: tmp, mountPath", "name: temp, mountPath"),
        ("serve.yaml", "claimName: project", "claimName: projects"),
        ("serve.yaml", "  selector: {app: serve}", "  selector: {app: server}"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "name", "line", "wrong"),
    [(rule, *change) for rule, changes in BREAKS.items() for change in changes],
)
def test_what_breaks_a_policy_is_found(rule: str, name: str, line: str, wrong: str) -> None:
    assert KUBERNETES[rule](broken(name, line, wrong)) != []


def test_every_policy_has_a_file_that_breaks_it() -> None:
    assert set(BREAKS) == set(KUBERNETES)


def test_secrets_are_those_that_are_made_and_both_kinds_of_servers_begin_alike() -> None:
    script = (FILES / "up.sh").read_text()
    made = set(re.findall(r'"([A-Z_]+)"', script)) | {"REPOSITORY"}
    asked = {
        (key["name"], key["key"])
        for _, container in containers(read(BASE))
        for variable in container.get("env", ())
        if (key := variable.get("valueFrom", {}).get("secretKeyRef"))
    }
    assert asked == {("servers", name) for name in made}
    assert "create secret generic servers" in script
    (settings,) = (r for r in read(BASE) if r["kind"] == "ConfigMap")
    assert settings["data"]["databases.sql"] == (ROOT / "infra" / "databases.sql").read_text()


@pytest.mark.slow
def test_up_makes_the_passwords_once_and_never_shows_them(tmp_path: Path) -> None:
    shutil.copytree(FILES, tmp_path / "kubernetes")
    kubectl = tmp_path / "bin" / "kubectl"  # in place of the real one
    kubectl.parent.mkdir()
    kubectl.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {tmp_path}/asked\n'
        f'case "$*" in *"get secret"*) [ ! -e {tmp_path}/secret ] || echo secret/servers;;'
        f' *"create secret"*) cat > {tmp_path}/secret;; esac\n'
    )
    kubectl.chmod(0o755)

    def up(*words: str, **given: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}"} | given
        command = [str(tmp_path / "kubernetes" / "up.sh"), *words]
        return subprocess.run(command, capture_output=True, text=True, env=env)

    for words in ((), ("../base",), ("huge",)):
        done = up(*words)
        assert (done.returncode, done.stderr) == (1, "error: name an overlay: gpu small\n")
    assert not (tmp_path / "asked").exists()
    done = up("small")
    assert (done.returncode, (tmp_path / "secret").exists()) == (1, False)
    assert done.stderr.endswith("error: set REPOSITORY, the URL that the cluster clones\n")
    done = up("small", REPOSITORY="https://example.org/us/it.git")
    assert done.returncode == 0, done.stderr
    before = (tmp_path / "secret").read_text()
    known = dict(line.split("=", 1) for line in before.splitlines())
    passwords = [known.pop(name) for name in ("DATABASE_PASSWORD", "LOGIN_PASSWORD", "SESSION_KEY")]
    assert known == {"REPOSITORY": "https://example.org/us/it.git"}
    assert all(re.fullmatch(r"[0-9a-f]{48}", password) for password in passwords)
    assert len(set(passwords)) == 3
    assert up("gpu", REPOSITORY="https://example.org/another.git").returncode == 0
    assert (tmp_path / "secret").read_text() == before
    asked = (tmp_path / "asked").read_text()
    assert asked.splitlines()[-1] == "apply -k overlays/gpu"
    assert not [password for password in passwords if password in asked + done.stdout]


# --- who reaches whom
# --------------------------------------------------------------------------------------------------

PORTS = {"postgres": 5432, "prefect": 4200, "mlflow": 5000, "serve": 8000}
NEEDED = {
    ("prefect", "postgres"), ("mlflow", "postgres"), ("backup", "postgres"), ("work", "prefect"),
    ("work", "mlflow"), ("train", "prefect"), ("train", "mlflow"), ("serve", "mlflow"),
}  # fmt: skip
OUTSIDE = {"work", "train"}
APPS = ("postgres", "prefect", "mlflow", "work", "serve", "train", "backup")


def labels(resources: list[dict[str, Any]]) -> dict[str, Peer]:
    found = {}
    for resource in resources:
        spec = resource.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            mine = spec["template"]["metadata"]["labels"]
            found[resource["metadata"]["name"]] = Peer(mine)
    return found


def connections(resources: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return all that may be: between pods, by strangers, and to places outside."""
    ours = labels(resources)
    asks = {"evergreen-pipeline": "asks"}
    sources = ours | {
        "a stranger": Peer({"app": "stranger"}),
        "a stranger elsewhere": Peer({"app": "work"}, {"name": "other"}, home=False),
        "a client": Peer({"app": "shop"}, asks, home=False),
    }
    found = {
        (name, other)
        for name, source in sources.items()
        for other, target in ours.items()
        for port in PORTS.values()
        if name != other and allows(resources, source, target, port)
    }
    places = {
        "outside": ("203.0.113.9", 443), "outside, in the clear": ("203.0.113.9", 80),
        "outside, IPv6": ("2001:db8::9", 443), "the node": ("10.0.0.1", 443),
        "the cloud's metadata": ("169.254.169.254", 443), "a neighbour": ("192.168.1.9", 443),
        "a neighbour, IPv6": ("fd00::9", 443),
    }  # fmt: skip
    return found | {
        (name, place)
        for name, source in sources.items()
        for place, (address, port) in places.items()
        if source.home and allows(resources, source, Peer(address=address), port)
    }


WANTED = (
    NEEDED
    | {("a client", "serve")}
    | {(name, place) for name in OUTSIDE for place in ("outside", "outside, IPv6")}
)


def test_what_is_needed_is_allowed_and_all_else_is_denied() -> None:
    resources = read(BASE)
    ours = labels(resources)
    assert tuple(sorted(ours)) == tuple(sorted(APPS))
    assert connections(resources) == WANTED
    for source, target in NEEDED:  # on one port only
        open_ports = [
            p for p in (22, *PORTS.values()) if allows(resources, ours[source], ours[target], p)
        ]
        assert open_ports == [PORTS[target]]
    names = Peer(
        {"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"}, home=False
    )
    false = Peer({"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "other"}, home=False)
    for peer in ours.values():
        assert allows(resources, peer, names, 53, "UDP")
        assert not allows(resources, peer, names, 443)
        assert not allows(resources, peer, false, 53, "UDP")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("values: [work, train, serve]", "values: [work, train]"),
        ("values: [prefect, mlflow, backup]", "values: [prefect, mlflow, backup, work]"),
        ("evergreen-pipeline: asks}}}", "}}, podSelector: {}}"),
        ("policyTypes: [Ingress, Egress]", "policyTypes: [Egress]"),
        ("169.254.0.0/16, ", ""), ("port: 443", "port: 80"), ("port: 5000", "port: 5001"),
        ("matchLabels: {reaches: outside}", ""),
    ],
)  # fmt: skip
def test_a_connection_too_many_or_too_few_is_found(line: str, wrong: str) -> None:
    assert connections(broken("network.yaml", line, wrong)) != WANTED
