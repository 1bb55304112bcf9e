"""What `compose.yaml` must keep to: one function a rule, which returns what breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from infra.policies import PINNED, SECRET

Content = dict[str, Any]
HELD = "/run/secrets/"
LOOPBACK = re.compile(r"127\.0\.0\.1:[^:]+(:\S+\})?:\d+")
OURS = re.compile(
    r"\.\.?(/[\w-][\w.-]*)*|[a-z]\w*"
)  # a path of the project, or a volume by its name


def services(content: Content) -> Iterator[tuple[str, Content]]:
    yield from content["services"].items()


def variables(service: Content) -> dict[str, str]:
    """Return the environment, which may also be a list of `NAME=value`."""
    given = service.get("environment", {})
    if isinstance(given, list):
        return dict(line.partition("=")[::2] for line in given)
    return {name: str(value) for name, value in given.items()}


def sources(service: Content) -> Iterator[str]:
    """Yield what is mounted: a path or a volume."""
    for mount in service.get("volumes", ()):
        yield mount.partition(":")[0] if isinstance(mount, str) else mount.get("source", "")


def runs_as_root(content: Content) -> list[str]:
    def root(user: str) -> bool:  # that of make stack is who the folder belongs to
        return user.partition(":")[0] in ("", "0", "root") or bool(re.search(r":-0*\}", user))

    return [name for name, service in services(content) if root(str(service.get("user", "")))]


def has_rights(content: Content) -> list[str]:
    return [
        name
        for name, service in services(content)
        if service.get("cap_drop") != ["ALL"]
        or service.get("security_opt") != ["no-new-privileges:true"]
        or {"privileged", "cap_add", "devices", "group_add", "userns_mode"} & set(service)
    ]


def writes_to_its_image(content: Content) -> list[str]:
    return [name for name, service in services(content) if service.get("read_only") is not True]


def is_unlimited(content: Content) -> list[str]:
    found = []
    for name, service in services(content):
        lacking = {"cpus", "mem_limit", "pids_limit"} - set(service)
        kept = service.get("logging", {}).get("options", {})
        lacking |= {"max-size", "max-file"} - set(kept)
        found += [f"{name}: {limit}" for limit in sorted(lacking)]
    return found


def is_not_checked(content: Content) -> list[str]:
    """Each says whether it is healthy, is started again, and starts after what is healthy."""
    found = []
    for name, service in services(content):
        check = service.get("healthcheck", {})
        if check.get("disable") or check.get("test", ["NONE"])[0] not in ("CMD", "CMD-SHELL"):
            found.append(f"{name}: healthcheck")
        if service.get("restart") != "unless-stopped":
            found.append(f"{name}: restart")
        needed = service.get("depends_on", {})
        waits = isinstance(needed, dict) and all(
            how.get("condition") == "service_healthy" for how in needed.values()
        )
        found += [] if waits else [f"{name}: depends_on"]
    return found


def is_of_any_version(content: Content) -> list[str]:
    built = {service["image"] for _, service in services(content) if "build" in service}

    def pinned(image: str) -> bool:
        tagged = ":" in image.rpartition("/")[2] or "@" in image
        return bool(PINNED.fullmatch(image)) and tagged

    return [
        name
        for name, service in services(content)
        if service["image"] not in built and not pinned(service["image"])
    ]


def opens_a_port(content: Content) -> list[str]:
    """A port is open to this machine alone, whatever the settings say."""
    return [
        name
        for name, service in services(content)
        if not all(isinstance(p, str) and LOOPBACK.fullmatch(p) for p in service.get("ports", ()))
    ]


def reaches_the_host(content: Content) -> list[str]:
    shared = {"network_mode", "pid", "ipc", "uts", "cgroup", "extends", "runtime"}
    return [
        name
        for name, service in services(content)
        if shared & set(service)
        or any(not OURS.fullmatch(source) or ".sock" in source for source in sources(service))
    ]


def tells_a_secret(content: Content) -> list[str]:
    """A secret is a file below secrets/, given to a service by name, and said nowhere else."""
    found = [
        name
        for name, how in content.get("secrets", {}).items()
        if not str(how.get("file", "")).startswith("secrets/")
    ]
    for name, service in services(content):
        given = set(service.get("secrets", ()))
        for key, value in variables(service).items():
            if not re.search(rf"{SECRET.pattern}|KEY", key):
                continue
            if not key.endswith("_FILE") or value.removeprefix(HELD) not in given:
                found.append(f"{name}: {key}")
        said = " ".join((*service.get("command", ()), *service.get("entrypoint", ())))
        found += (
            [f"{name}: its command"] if re.search(r"(?i)password|auth_string|://\w+:", said) else []
        )
        found += [f"{name}: env_file"] if "env_file" in service else []
        found += [f"{name}: build"] if "args" in service.get("build", {}) else []
    return found


def sees_the_secrets(content: Content) -> list[str]:
    """The folders of secrets and of S3 are hidden where the project's folder is mounted."""
    hidden = {"/project/infra/secrets", "/project/infra/s3"}
    return [
        name
        for name, service in services(content)
        if ".." in sources(service)
        and hidden - {mount.partition(":")[0] for mount in service.get("tmpfs", ())}
    ]


def names_what_is_not_there(content: Content) -> list[str]:
    """Secrets, volumes and services that others name."""
    found = []
    for name, service in services(content):
        named = set(service.get("secrets", ())) - set(content.get("secrets", {}))
        named |= set(service.get("depends_on", ())) - set(content["services"])
        volumes = {source for source in sources(service) if not source.startswith(".")}
        named |= volumes - set(content.get("volumes", {}))
        found += [f"{name}: {lacking}" for lacking in sorted(named)]
    return found


COMPOSE: dict[str, Callable[[Content], list[str]]] = {
    rule.__name__: rule
    for rule in (
        runs_as_root, has_rights, writes_to_its_image, is_unlimited, is_not_checked,
        is_of_any_version, opens_a_port, reaches_the_host, tells_a_secret, sees_the_secrets,
        names_what_is_not_there,
    )
}  # fmt: skip
