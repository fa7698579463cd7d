"""Who may call whom, for each pair and port: the arrows of the architecture, what is said beside them, no more."""

import re
from itertools import product

from deploy.manifests import ROOT, Overlay
from deploy.network_policies import Host, Network

from comanda.cli import environment

SERVICES = environment.PORTS
NAMES = {"User": "gateway", "Auth": "auth", "Prod": "productos", "Inv": "inventario", "Ped": "pedidos"}
"""What the diagram in the README calls them; clients come through the gateway."""
POSTGRES, STATE, DNS = 5432, 8000, 53
"""Where a database, the state of its instances and the names of the cluster are found."""
PORTS = (DNS, 80, 443, POSTGRES, 6443, *SERVICES.values(), 8080, 9187)
Edge = tuple[str, str, int]

INGRESS = Host("ingress", {}, namespace={"comanda.dev/ingress": "true"})
PROMETHEUS = Host("prometheus", {}, namespace={"comanda.dev/monitoring": "true"})
OPERATOR = Host("operator", {}, namespace={"kubernetes.io/metadata.name": "cnpg-system"})
NAMESERVER = Host("names", {"k8s-app": "kube-dns"}, namespace={"kubernetes.io/metadata.name": "kube-system"})
ANYBODY = Host("anybody", {}, namespace={"kubernetes.io/metadata.name": "default"})
OUTSIDERS = (INGRESS, PROMETHEUS, OPERATOR, NAMESERVER, ANYBODY)


def ours(overlay: Overlay) -> list[Host]:
    pods = []
    for name, template in overlay.templates():
        (container,) = template["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        pods.append(Host(name.removeprefix("Deployment/").removeprefix("Job/"), template["metadata"]["labels"], ports))
    return pods + [Host(name, {"cnpg.io/cluster": name}) for name in overlay.of("Cluster")]


def arrows() -> set[Edge]:
    """Those of the diagram, with the port at which each is met."""
    found = re.findall(r"^    (\w+) -->(?:\|[^|]+\|)? (\w+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(found) == 4 + 3 + 4
    edges = set()
    for source, target in found:
        if target.startswith("DB_"):
            edges.add((NAMES[source], f"{NAMES[target.removeprefix('DB_')]}-db", POSTGRES))
        else:
            edges.add((NAMES[source], NAMES[target], SERVICES[NAMES[target]]))
    return edges


def said_beside_them() -> set[Edge]:
    """Keys and ended sessions, which services ask auth for (ADR 0022); migrations; the instances of one database."""
    edges = {(service, "auth", SERVICES["auth"]) for service in SERVICES if service != "auth"}
    edges |= {(f"migrate-{service}", f"{service}-db", POSTGRES) for service in SERVICES}
    return edges | {(f"{service}-db", f"{service}-db", port) for service, port in product(SERVICES, (POSTGRES, STATE))}


def passing(network: Network, sources: list[Host], targets: list[Host]) -> set[Edge]:
    return {
        (source.name, target.name, port)
        for source, target, port in product(sources, targets, PORTS)
        if network.passes(source, target, port)
    }


def test_among_us_pass_the_arrows_and_nothing_else(overlay: Overlay) -> None:
    network, pods = Network(overlay.of("NetworkPolicy").values()), ours(overlay)
    assert passing(network, pods, pods) == arrows() | said_beside_them()


def test_from_outside_comes_the_ingress_to_the_gateway_and_the_operator_to_its_databases(overlay: Overlay) -> None:
    network, pods = Network(overlay.of("NetworkPolicy").values()), ours(overlay)
    expected = {("ingress", "gateway", 8080)}
    expected |= {("operator", f"{service}-db", port) for service, port in product(SERVICES, (POSTGRES, STATE))}
    if "monitoring" in overlay.of("NetworkPolicy"):
        expected |= {("prometheus", service, port) for service, port in SERVICES.items()}
    assert passing(network, list(OUTSIDERS), pods) == expected


def test_prometheus_is_let_in_where_there_is_one(overlay: Overlay) -> None:
    is_large = overlay.of("Cluster")["pedidos-db"]["spec"]["instances"] > 1
    assert ("monitoring" in overlay.of("NetworkPolicy")) is is_large


def test_to_the_outside_go_questions_for_names_and_databases_to_the_api(overlay: Overlay) -> None:
    network, pods = Network(overlay.of("NetworkPolicy").values()), ours(overlay)
    expected = {(pod.name, "names", DNS) for pod in pods}
    databases = {f"{service}-db" for service in SERVICES}
    expected |= {(name, host.name, port) for name, host, port in product(databases, OUTSIDERS, (443, 6443))}
    assert passing(network, pods, list(OUTSIDERS)) == expected
    assert all(network.passes(pod, NAMESERVER, DNS, "UDP") for pod in pods)
