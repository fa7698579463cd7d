"""NetworkPolicies as a network enforces them: what is selected by one may do only what some policy allows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Selector = Mapping[str, Any]


@dataclass(frozen=True)
class Host:
    """A pod of ours, or whoever else is on the network (`namespace` is then the labels of their own)."""

    name: str
    labels: Mapping[str, str]
    ports: Mapping[str, int] = field(default_factory=dict)
    namespace: Mapping[str, str] | None = None


class Network:
    """Args: policies: all of the namespace."""

    def __init__(self, policies: Iterable[Mapping[str, Any]]) -> None:
        self._policies = [policy["spec"] for policy in policies]

    def passes(self, source: Host, target: Host, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection is let out there and let in here."""
        leaves = self._allows(source, target, target, "Egress", (port, protocol))
        return leaves and self._allows(target, source, target, "Ingress", (port, protocol))

    def _allows(self, judged: Host, peer: Host, target: Host, direction: str, port: tuple[int, str]) -> bool:
        if judged.namespace is not None:  # not ours to restrict
            return True
        chosen = [
            policy
            for policy in self._policies
            if direction in policy["policyTypes"] and _selects(policy["podSelector"], judged.labels)
        ]
        rules = [rule for policy in chosen for rule in policy.get(direction.lower(), [])]
        to_or_from = "to" if direction == "Egress" else "from"
        return not chosen or any(
            _is_among(peer, rule.get(to_or_from)) and _is_open(rule.get("ports"), target, port) for rule in rules
        )


def _is_among(host: Host, peers: Sequence[Mapping[str, Any]] | None) -> bool:
    if peers is None:
        return True
    for peer in peers:
        assert set(peer) <= {"podSelector", "namespaceSelector"}
        if "namespaceSelector" in peer:
            there = host.namespace is not None and _selects(peer["namespaceSelector"], host.namespace)
        else:
            there = host.namespace is None
        if there and _selects(peer.get("podSelector", {}), host.labels):
            return True
    return False


def _is_open(ports: Sequence[Mapping[str, Any]] | None, target: Host, wanted: tuple[int, str]) -> bool:
    if ports is None:
        return True
    named = [(target.ports.get(port["port"], port["port"]), port.get("protocol", "TCP")) for port in ports]
    return wanted in named


def _selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if expression["operator"] == "Exists":
        return expression["key"] in labels
    assert expression["operator"] == "In"
    return labels.get(expression["key"]) in expression["values"]
