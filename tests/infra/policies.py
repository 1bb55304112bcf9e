"""What every file of servers must keep to: one function a rule, which returns what breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Resources = list[dict[str, Any]]
SECRET = re.compile(r"PASSWORD|AUTH_STRING|SECRET|TOKEN|REPOSITORY")
# Nothing but references to other variables, and the user's name before them
REFERENCE = re.compile(r"(evergreen:)?\$\(\w+\)")
PINNED = re.compile(r"[\w./-]+(:(?!latest)[\w][\w.-]*)?(@sha256:[0-9a-f]{64})?")


def pods(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, spec of its pod) of each workload."""
    for resource in resources:
        spec = resource.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield resource["metadata"]["name"], spec["template"]["spec"]


def containers(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods(resources):
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield f"{name}/{container['name']}", container


def runs_as_root(resources: Resources) -> list[str]:
    def root(pod: Mapping[str, Any]) -> bool:
        how = pod.get("securityContext", {})
        own = [c.get("securityContext", {}) for c in pod["containers"]]
        other = any("runAsUser" in mine or "runAsNonRoot" in mine for mine in own)
        return not how.get("runAsNonRoot") or not how.get("runAsUser") or other

    return [name for name, pod in pods(resources) if root(pod)]


def calls_anything(resources: Resources) -> list[str]:
    return [
        name
        for name, pod in pods(resources)
        if pod.get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}
    ]


def has_rights(resources: Resources) -> list[str]:
    few = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return [
        name
        for name, container in containers(resources)
        if container.get("securityContext", {}) | {"readOnlyRootFilesystem": True}
        != few | {"readOnlyRootFilesystem": True}
    ]


def writes_to_its_image(resources: Resources) -> list[str]:
    return [
        name
        for name, container in containers(resources)
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True
    ]


def is_unlimited(resources: Resources) -> list[str]:
    found = []
    for name, container in containers(resources):
        given = container.get("resources", {})
        for kind in ("requests", "limits"):
            found += [
                f"{name}: {kind}.{of}" for of in ("cpu", "memory") if of not in given.get(kind, {})
            ]
    for name, pod in pods(resources):
        for volume in pod.get("volumes", ()):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                found.append(f"{name}: {volume['name']}")
    return found


def is_not_probed(resources: Resources) -> list[str]:
    """A service must say when it is ready; what lives on must say that it lives."""
    jobs = {r["metadata"]["name"] for r in resources if r["kind"] == "CronJob"}
    services = {r["metadata"]["name"] for r in resources if r["kind"] == "Service"}
    found = []
    for name, pod in pods(resources):
        wanted = set() if name in jobs else {"livenessProbe"}
        wanted |= {"readinessProbe"} if name in services else set()
        found += [name for container in pod["containers"] if wanted - set(container)]
    return found


def is_of_any_version(resources: Resources) -> list[str]:
    def pinned(image: str) -> bool:
        return bool(PINNED.fullmatch(image)) and (":" in image.rpartition("/")[2] or "@" in image)

    return [name for name, container in containers(resources) if not pinned(container["image"])]


def reaches_the_node(resources: Resources) -> list[str]:
    found = [
        name
        for name, pod in pods(resources)
        if {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        or any("hostPath" in volume for volume in pod.get("volumes", ()))
        or any("hostPort" in port for c in pod["containers"] for port in c.get("ports", ()))
    ]
    return found + [
        resource["metadata"]["name"]
        for resource in resources
        if resource["kind"] == "Service"
        and resource["spec"].get("type", "ClusterIP") != "ClusterIP"
    ]


def tells_a_secret(resources: Resources) -> list[str]:
    found = [r["metadata"]["name"] for r in resources if r["kind"] == "Secret"]
    for name, container in containers(resources):
        for variable in container.get("env", ()):
            key, value = variable["name"], variable.get("value")
            if SECRET.search(key) and value is not None and not REFERENCE.fullmatch(value):
                found += [f"{name}: {key}"] if not key.endswith("USERNAME") else []
        said = " ".join((*container.get("command", ()), *container.get("args", ())))
        found += [f"{name}: its command"] if re.search(r"PASSWORD|AUTH_STRING", said) else []
    return found


def speaks_to_the_cluster(resources: Resources) -> list[str]:
    """No pod has a right in the cluster, nor learns by variables what else is in it."""
    rights = [r["metadata"]["name"] for r in resources if "Role" in r["kind"]]
    return rights + [
        name
        for name, pod in pods(resources)
        if pod.get("automountServiceAccountToken") is not False
        or pod.get("enableServiceLinks") is not False
    ]


def runs_twice(resources: Resources) -> list[str]:
    """One of each: two workers, or two servers on one volume, are not meant."""
    return [
        r["metadata"]["name"]
        for r in resources
        if (r["kind"] in ("Deployment", "StatefulSet") and r["spec"].get("replicas") != 1)
        or (r["kind"] == "Deployment" and r["spec"].get("strategy") != {"type": "Recreate"})
        or (r["kind"] == "CronJob" and r["spec"].get("concurrencyPolicy") != "Forbid")
    ]


def lets_everybody_in(resources: Resources) -> list[str]:
    wanted = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    denied = any(r["kind"] == "NetworkPolicy" and r["spec"] == wanted for r in resources)
    return [] if denied else ["no policy denies what none allows"]


def is_not_restricted(resources: Resources) -> list[str]:
    key = "pod-security.kubernetes.io/enforce"
    return [
        r["metadata"]["name"]
        for r in resources
        if r["kind"] == "Namespace" and r["metadata"].get("labels", {}).get(key) != "restricted"
    ]


def names_what_is_not_there(resources: Resources) -> list[str]:
    """Volumes, claims, settings and the pods behind a service."""
    named: dict[str, set[str]] = {}
    for resource in resources:
        named.setdefault(resource["kind"], set()).add(resource["metadata"]["name"])
    found = []
    for name, pod in pods(resources):
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        for _, container in containers([r for r in resources if r["metadata"]["name"] == name]):
            mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
            found += [f"{name}: volume {lacking}" for lacking in mounts - set(volumes)]
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in named.get("PersistentVolumeClaim", ()):
                found.append(f"{name}: claim {claim}")
    labels = [
        r["spec"]["template"]["metadata"]["labels"]
        for r in resources
        if r["kind"] in ("Deployment", "StatefulSet")
    ]
    for resource in resources:
        if resource["kind"] == "Service":
            wanted = resource["spec"]["selector"].items()
            if not any(wanted <= mine.items() for mine in labels):
                found.append(f"{resource['metadata']['name']}: no pod")
    return found


KUBERNETES: dict[str, Callable[[Resources], list[str]]] = {
    rule.__name__: rule
    for rule in (
        runs_as_root, calls_anything, has_rights, writes_to_its_image, is_unlimited, is_not_probed,
        is_of_any_version, reaches_the_node, tells_a_secret, speaks_to_the_cluster, runs_twice,
        lets_everybody_in, is_not_restricted, names_what_is_not_there,
    )
}  # fmt: skip
