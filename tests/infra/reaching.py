"""Whether Kubernetes lets one pod connect to another, by its network policies alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Resources = list[dict[str, Any]]
OPERATORS = {
    "In": lambda held, values: held in values,
    "NotIn": lambda held, values: held not in values,
    "Exists": lambda held, values: held is not None,
    "DoesNotExist": lambda held, values: held is None,
}


@dataclass(frozen=True)
class Peer:
    """A pod, by its labels and those of its namespace; or an address outside of the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: Mapping[str, str] = field(default_factory=dict)
    home: bool = True  # in the namespace of the policies
    address: str = ""


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector takes these labels; an empty one takes all."""
    unknown = set(selector) - {"matchLabels", "matchExpressions"}
    assert not unknown, unknown
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        OPERATORS[wanted["operator"]](labels.get(wanted["key"]), wanted.get("values", ()))
        for wanted in selector.get("matchExpressions", ())
    )


def allows(resources: Resources, source: Peer, target: Peer, port: int, how: str = "TCP") -> bool:
    """Return whether both ends let a connection from `source` to `target` through."""
    ends = (
        ("Egress", "egress", "to", source, target),
        ("Ingress", "ingress", "from", target, source),
    )
    return all(
        _lets(resources, kind, rules, peers, mine, other, (port, how))
        for kind, rules, peers, mine, other in ends
        if mine.home and not mine.address
    )


def _lets(
    resources: Resources, kind: str, rules: str, peers: str, mine: Peer, other: Peer,
    port: tuple[int, str],
) -> bool:  # fmt: skip
    policies = [
        r["spec"]
        for r in resources
        if r["kind"] == "NetworkPolicy"
        and kind in r["spec"]["policyTypes"]
        and selects(r["spec"]["podSelector"], mine.labels)
    ]
    if not policies:
        return True
    return any(
        _port_fits(rule.get("ports"), *port)
        and (peers not in rule or any(_is(peer, other) for peer in rule[peers]))
        for policy in policies
        for rule in policy.get(rules) or ()
    )


def _port_fits(ports: list[dict[str, Any]] | None, port: int, how: str) -> bool:
    return ports is None or any(
        known.get("protocol", "TCP") == how and known.get("port", port) == port for known in ports
    )


def _is(wanted: Mapping[str, Any], peer: Peer) -> bool:
    if block := wanted.get("ipBlock"):
        if not peer.address:
            return False
        address = ipaddress.ip_address(peer.address)
        inside = address in ipaddress.ip_network(block["cidr"])
        return inside and not any(
            address in ipaddress.ip_network(left_out) for left_out in block.get("except", ())
        )
    if peer.address:
        return False
    place = (
        selects(wanted["namespaceSelector"], peer.namespace)
        if "namespaceSelector" in wanted
        else peer.home
    )
    return place and selects(wanted.get("podSelector", {}), peer.labels)
