"""The manifests: valid, restricted, in agreement with the settings and with each other."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from deploy.deployed_settings import SERVICES, assert_they_agree, known_variables, settings_of
from deploy.manifests import ROOT, Manifest, Overlay

KUBERNETES = ("1.34", "1.37")
"""The oldest that the manifests are for (a container's `sleep` before it stops), and the newest that is known here."""
OWN_KINDS = {"Cluster"}
"""Defined by the operator of the databases; no schema of it is to be had from the registries we use."""
SIGNERS = ("productos", "inventario", "pedidos")
MADE_BY_HAND = {("auth", "AUTH_MASTER_KEY"), ("auth", "COMANDA_ADMIN_PASSWORD")}
MADE_BY_OPERATOR = {(f"{service}-db-app", "uri") for service in SERVICES}
RESERVED_CONNECTIONS = 20
"""For the operator, replication, a migration and whoever looks."""


class TestSchema:
    @pytest.mark.parametrize("version", KUBERNETES)
    def test_valid(self, overlay: Overlay, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
        utils = pytest.importorskip("kubernetes_validate.utils", reason="kubernetes-validate: group deploy")
        monkeypatch.setattr(utils, "schema_contents", cache(utils.schema_contents))  # a megabyte for each manifest
        checked = [document for document in overlay.documents if document["kind"] not in OWN_KINDS]
        assert len(checked) > 40
        for document in checked:
            assert utils.validate(document, version, strict=True) == version

    def test_everything_is_in_one_namespace_that_is_restricted(self, overlay: Overlay) -> None:
        (namespace,) = overlay.of("Namespace").values()
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        places = {found["metadata"]["namespace"] for found in overlay.documents if found["kind"] != "Namespace"}
        assert places == {namespace["metadata"]["name"]}


class TestPods:
    def test_are_restricted(self, overlay: Overlay) -> None:
        """Pod Security Standards, restricted; besides, nothing can be written but what is mounted for it."""
        for name, template in overlay.templates():
            pod = template["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["runAsUser"] == 10001, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert pod["automountServiceAccountToken"] is False, name
            for container in pod["containers"]:
                context = container["securityContext"]
                assert context["allowPrivilegeEscalation"] is False, name
                assert context["readOnlyRootFilesystem"] is True, name
                assert context["capabilities"]["drop"] == ["ALL"], name
                assert set(context["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}, name
                assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
                assert "memory" in container["resources"]["limits"], name

    def test_are_told_nothing_by_names_of_ours(self, overlay: Overlay) -> None:
        """Links of the Service `auth` would set AUTH_PORT=tcp://…, and the service would not start."""
        for name, template in overlay.templates():
            assert template["spec"]["enableServiceLinks"] is False, name

    def test_images_are_pinned(self, overlay: Overlay) -> None:
        images = [
            container["image"] for _, template in overlay.templates() for container in template["spec"]["containers"]
        ]
        images += [cluster["spec"]["imageName"] for cluster in overlay.of("Cluster").values()]
        assert len(images) == 4 + 1 + 4 + 4
        for image in images:
            assert re.search(r":\d+\.\d+[^/]*$", image), image

    def test_name_only_what_is_made(self, overlay: Overlay) -> None:
        maps = {"public-keys", *overlay.of("ConfigMap")}
        keys = {f"{service}-key" for service in SIGNERS}
        for name, template in overlay.templates():
            for container in template["spec"]["containers"]:
                for entry in container.get("env", []):
                    if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                        assert (reference["name"], reference["key"]) in MADE_BY_HAND | MADE_BY_OPERATOR, name
                assert {source["configMapRef"]["name"] for source in container.get("envFrom", [])} <= maps, name
            for volume in template["spec"].get("volumes", []):
                assert volume.get("configMap", {"name": "public-keys"})["name"] in maps, name
                assert volume.get("secret", {"secretName": "pedidos-key"})["secretName"] in keys, name

    def test_have_no_secret_of_another_service(self, overlay: Overlay) -> None:
        for name, template in overlay.templates():
            service = template["metadata"]["labels"]["app.kubernetes.io/name"]
            text = str(template["spec"])
            foreign = {f"{other}{end}" for other in SERVICES if other != service for end in ("-key'", "-db-app'")}
            assert not [secret for secret in foreign if secret in text], name


class TestServices:
    def test_start_with_what_is_set(self, overlay: Overlay, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        values = dict.fromkeys(MADE_BY_HAND, "x" * 64)
        values |= {(f"{name}-db-app", "uri"): f"postgresql://u:p@{name}-db-rw.comanda:5432/d" for name in SERVICES}
        settings = {}
        for service in SERVICES:
            variables = overlay.variables(service, values)
            assert set(variables) - {"SITE"} <= known_variables(), service
            settings[service] = settings_of(service, variables, secrets, monkeypatch)
        assert_they_agree(settings, secrets)

    def test_are_found_at_their_port(self, overlay: Overlay) -> None:
        for service in SERVICES:
            port = int(overlay.config(service)[f"{service.upper()}_PORT"])
            assert overlay.container(service)["ports"] == [{"name": "http", "containerPort": port}]
            (entry,) = overlay.of("Service")[service]["spec"]["ports"]
            assert (entry["port"], entry["targetPort"]) == (port, "http")

    def test_no_migration_is_sent_what_is_meant_for_a_service(self, overlay: Overlay) -> None:
        for service in (*SERVICES, "gateway"):
            selector = overlay.of("Service")[service]["spec"]["selector"].items()
            chosen = [
                name for name, template in overlay.templates() if selector <= template["metadata"]["labels"].items()
            ]
            assert chosen == [f"Deployment/{service}"]

    def test_probes(self, overlay: Overlay) -> None:
        for service in SERVICES:
            container = overlay.container(service)
            paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
            assert paths["startup"] == paths["liveness"] == {"path": "/livez", "port": "http"}
            assert paths["readiness"] == {"path": "/readyz", "port": "http"}

    def test_roll_without_losing_requests(self, overlay: Overlay) -> None:
        for name, found in overlay.of("Deployment").items():
            assert found["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
            pause = overlay.container(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pause > 0
            assert found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > pause + 20  # …_SHUTDOWN_SECONDS


class TestMigrations:
    def test_each_service_has_its_job_with_its_image(self, overlay: Overlay) -> None:
        for service in SERVICES:
            job: Any = overlay.of("Job")[f"migrate-{service}"]["spec"]["template"]["spec"]["containers"][0]
            assert job["image"] == overlay.container(service)["image"]
            assert job["args"] == ["--migrate"]
            assert [entry["name"] for entry in job["env"]] == [f"{service.upper()}_DATABASE_URL"]


class TestDatabases:
    def test_one_for_each_service(self, overlay: Overlay) -> None:
        clusters = overlay.of("Cluster")
        assert set(clusters) == {f"{service}-db" for service in SERVICES}
        owners = {cluster["spec"]["bootstrap"]["initdb"]["owner"] for cluster in clusters.values()}
        assert owners == {f"comanda_{service}" for service in SERVICES}

    def test_a_commit_survives_the_loss_of_a_host_where_there_are_several(self, overlay: Overlay) -> None:
        for cluster in overlay.of("Cluster").values():
            if cluster["spec"]["instances"] > 1:
                synchronous = cluster["spec"]["postgresql"]["synchronous"]
                assert synchronous == {"method": "any", "number": 1, "dataDurability": "required"}
                assert cluster["spec"]["instances"] >= synchronous["number"] + 2  # writes go on when one is away
                assert cluster["spec"]["affinity"]["podAntiAffinityType"] == "required"

    def test_take_all_connections_that_services_may_open(
        self, overlay: Overlay, secrets: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        values = dict.fromkeys(MADE_BY_HAND | MADE_BY_OPERATOR, "postgresql://u:p@host/d" + "x" * 32)
        for service in SERVICES:
            settings = settings_of(service, overlay.variables(service, values), secrets, monkeypatch)
            most = overlay.of("HorizontalPodAutoscaler")[service]["spec"]["maxReplicas"] + 1  # one more while rolling
            parameters = overlay.of("Cluster")[f"{service}-db"]["spec"]["postgresql"]["parameters"]
            connections = most * settings.workers * settings.database_pool
            assert connections + RESERVED_CONNECTIONS <= int(parameters["max_connections"])


class TestScaling:
    def test_whoever_drains_a_host_leaves_one_at_least(self, overlay: Overlay) -> None:
        autoscalers, budgets = overlay.of("HorizontalPodAutoscaler"), overlay.of("PodDisruptionBudget")
        assert set(autoscalers) == set(budgets) == set(overlay.of("Deployment"))
        for name, autoscaler in autoscalers.items():
            spec = autoscaler["spec"]
            assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            assert 2 <= spec["minReplicas"] < spec["maxReplicas"]
            assert spec["minReplicas"] - budgets[name]["spec"]["maxUnavailable"] >= 1
            deployment = overlay.of("Deployment")[name]["spec"]
            assert budgets[name]["spec"]["selector"] == deployment["selector"]
            assert "replicas" not in deployment, "the autoscaler's"


class TestGateway:
    def test_knows_where_the_services_listen_and_the_rules_know_its_variables(self, overlay: Overlay) -> None:
        environment = {entry["name"]: entry.get("value") for entry in overlay.container("gateway")["env"]}
        rules = (ROOT / "deploy/gateway/Caddyfile").read_text()
        for service in SERVICES:
            port = overlay.config(service)[f"{service.upper()}_PORT"]
            assert environment[f"{service.upper()}_UPSTREAMS"] == f"{service}:{port}"
        for name in environment:
            assert f"{{${name}" in rules, name

    def test_the_only_way_in_leads_to_it_by_the_name_that_services_know(self, overlay: Overlay) -> None:
        (ingress,) = overlay.of("Ingress").values()
        (rule,) = ingress["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        site = overlay.config("site")["SITE"]
        assert rule["host"] == site
        assert ingress["spec"]["tls"][0]["hosts"] == [site]
        assert path["backend"]["service"]["name"] == "gateway"
        assert _ports(overlay.of("Service")["gateway"]) == {("http", "http")}
        assert {found["spec"].get("type", "ClusterIP") for found in overlay.of("Service").values()} == {"ClusterIP"}


def _ports(service: Manifest) -> set[tuple[str, str]]:
    return {(port["name"], port["targetPort"]) for port in service["spec"]["ports"]}
