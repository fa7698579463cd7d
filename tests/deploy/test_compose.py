"""compose.yaml: what it names exists, and the services start with what it sets."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy import composed
from deploy.deployed_settings import SERVICES, assert_they_agree, known_variables, settings_of

from comanda.cli import environment

CADDYFILE = (composed.ROOT / "deploy/gateway/Caddyfile").read_text()
DATABASES = (composed.ROOT / "deploy/compose/postgres/databases.sh").read_text()
OWN = (*SERVICES, *(f"{service}-migration" for service in SERVICES))


@pytest.fixture(scope="module")
def containers() -> Mapping[str, Any]:
    services: dict[str, Any] = composed.compose()["services"]
    return services


class TestFile:
    def test_is_valid_by_the_specification(self) -> None:
        library = pytest.importorskip("compose_spec", reason="compose-spec is not installed (group deploy)")
        checked = library.PyCompose.from_json(json.dumps(composed.compose()))
        assert {*OWN, "postgres", "gateway", "prometheus", "grafana"} == set(checked.service_names())

    def test_names_nothing_that_is_not_there(self, containers: Mapping[str, Any]) -> None:
        whole = composed.compose()
        for name, container in containers.items():
            assert set(container["networks"]) <= set(whole["networks"]), name
            assert set(container.get("depends_on", {})) <= set(containers), name
            volumes = {volume.split(":")[0] for volume in container.get("volumes", [])}
            assert {volume for volume in volumes if not volume.startswith(".")} <= set(whole["volumes"]), name
            for path in composed.mounts(container).values():
                assert path.startswith("./deploy/secrets/") or (composed.ROOT / path).exists(), path

    def test_pins_every_image(self, containers: Mapping[str, Any]) -> None:
        for container in containers.values():
            name, _, tag = container["image"].rpartition(":")
            assert name
            assert re.search(r"\d+\.\d+", tag), container["image"]

    def test_says_what_is_missing_without_secrets(self) -> None:
        with pytest.raises(KeyError, match="COMANDA_USER"):
            composed.text({})
        assert "deploy/make_secrets.py" in re.findall(r"COMANDA_USER:\?([^}]*)", composed.FILE.read_text())[0]


class TestServices:
    def test_start_with_what_is_set(
        self, containers: Mapping[str, Any], secrets: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {}
        for service in SERVICES:
            variables = composed.variables(containers[service], secrets)
            assert set(variables) <= known_variables(), service
            settings[service] = settings_of(service, variables, secrets, monkeypatch)
        assert_they_agree(settings, secrets)

    def test_trust_the_gateway_alone(self, containers: Mapping[str, Any], secrets: Path) -> None:
        address = containers["gateway"]["networks"]["front"]["ipv4_address"]
        for service in SERVICES:
            assert composed.variables(containers[service], secrets)[f"{service.upper()}_TRUSTED_PROXIES"] == address

    def test_may_do_nothing_else(self, containers: Mapping[str, Any]) -> None:
        for name in OWN:
            container = containers[name]
            assert container["read_only"] is True
            assert container["cap_drop"] == ["ALL"]
            assert container["security_opt"] == ["no-new-privileges:true"]
            assert container["user"] == "10001:10001"
            assert "ports" not in container

    def test_have_no_key_of_another(self, containers: Mapping[str, Any]) -> None:
        for service in SERVICES:
            keys = {path for path in composed.mounts(containers[service]).values() if "/keys" in path}
            expected = set() if service == "auth" else {f"./deploy/secrets/keys/{service}.pem"}
            assert keys == expected
            files = {Path(name).name for name in containers[service]["env_file"]}
            assert files == {f"{service}.database.env"} | ({"auth.env"} if service == "auth" else set())

    def test_are_given_time_to_end(self, containers: Mapping[str, Any]) -> None:
        for service in SERVICES:
            assert int(containers[service]["stop_grace_period"].rstrip("s")) > 20  # …_SHUTDOWN_SECONDS


class TestMigrations:
    def test_run_before_their_service_with_its_image_and_database(self, containers: Mapping[str, Any]) -> None:
        for service in SERVICES:
            job = containers[f"{service}-migration"]
            assert job["image"] == containers[service]["image"]
            assert job["command"] == ["--migrate"]
            assert job["env_file"] == [f"deploy/secrets/{service}.database.env"]
            assert "restart" not in job
            done = {f"{service}-migration": {"condition": "service_completed_successfully"}}
            assert containers[service]["depends_on"] == done


class TestDatabases:
    def test_each_service_has_its_own_and_its_own_role(self, containers: Mapping[str, Any], secrets: Path) -> None:
        made = composed.variables(containers["postgres"], secrets)
        for service in SERVICES:
            url = composed.variables(containers[service], secrets)[f"{service.upper()}_DATABASE_URL"]
            password = made[f"{service.upper()}_PASSWORD"]
            assert url == f"postgresql://comanda_{service}:{password}@postgres:5432/comanda_{service}"
        assert f"for service in {' '.join(SERVICES)}; do" in DATABASES

    def test_are_reached_by_services_alone(self, containers: Mapping[str, Any]) -> None:
        assert {name for name, container in containers.items() if "data" in container["networks"]} == {
            *OWN,
            "postgres",
        }
        assert composed.compose()["networks"]["data"]["internal"] is True


class TestGateway:
    def test_has_the_rules_and_only_variables_of_theirs(self, containers: Mapping[str, Any]) -> None:
        gateway = containers["gateway"]
        assert composed.mounts(gateway)["/etc/caddy/Caddyfile"] == "./deploy/gateway/Caddyfile"
        for name in gateway["environment"]:
            assert f"{{${name}" in CADDYFILE, name

    def test_knows_where_the_services_listen(self, containers: Mapping[str, Any], secrets: Path) -> None:
        for service in SERVICES:
            port = composed.variables(containers[service], secrets)[f"{service.upper()}_PORT"]
            assert containers["gateway"]["environment"][f"{service.upper()}_UPSTREAMS"] == f"{service}:{port}"

    def test_the_ports_of_services_are_for_this_host_alone(self) -> None:
        beside = yaml.safe_load((composed.ROOT / "deploy/compose/loopback.yaml").read_text())["services"]
        published = {name: container["ports"] for name, container in beside.items()}
        assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in environment.PORTS.items()}

    def test_is_the_only_way_in(self, containers: Mapping[str, Any]) -> None:
        published = {name: container["ports"] for name, container in containers.items() if "ports" in container}
        assert set(published) == {"gateway", "grafana"}
        assert all(port.startswith("127.0.0.1:") for port in published["grafana"])
