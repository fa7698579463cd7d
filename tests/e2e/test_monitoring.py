"""What Prometheus and Grafana are given: rules that work, a paragraph for each alert, and metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from comanda.cli.installation import Installation

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
RULES, BOARD = MONITORING / "alerts.yml", MONITORING / "dashboard.json"
SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "summary": ("_count", "_sum", "_created"),
}
SERVICES = ("auth", "productos", "inventario", "pedidos")


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(BOARD.read_text())["panels"]
    return found


def questions() -> list[str]:
    """What the board asks Prometheus."""
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", RULES.read_text())


class TestMetrics:
    def test_all_that_is_asked_for_exists(self, comanda: Installation) -> None:
        asked = set(re.findall(r"\b(?:comanda|process)_\w+", "\n".join([RULES.read_text(), *questions()])))
        given: set[str] = set()
        for service in SERVICES:
            text = httpx2.get(f"{comanda.address(service)}/metrics", trust_env=False).text
            for family in text_string_to_metric_families(text):
                given |= {family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))}
        assert len(asked) > 20
        assert asked - given == set()

    def test_pedidos(self, comanda: Installation) -> None:
        text = httpx2.get(f"{comanda.address('pedidos')}/metrics", trust_env=False).text
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert samples["comanda_listo", "pedidos"] == 1
        assert samples["comanda_http_en_curso", "pedidos"] == 0
        assert samples["comanda_http_maximo", "pedidos"] == 1000
        assert samples["comanda_conexiones_maximo", "inventario"] == 100
        assert samples["comanda_bucle_completado_en", "recuperacion"] > 0
        for cola in ("altas", "transiciones", "operaciones", "fichas"):
            assert samples["comanda_cola_en_espera", cola] >= 0
        assert {fase for name, *labels in samples if name == "comanda_pedidos_abiertos" for fase in labels} == {
            "SOLICITADO", "RESERVADO", "COMPLETANDO", "CANCELANDO",
        }  # fmt: skip


class TestAlerts:
    def test_each_has_a_paragraph_that_its_annotation_names(self) -> None:
        page = (ROOT / "docs" / "operations.md").read_text()
        section = page.partition("\n## Alerts\n")[2].partition("\n## ")[0]
        paragraphs = dict(re.findall(r"### (\w+)\n(.+)", section))
        assert list(paragraphs) == alerts()
        assert all(len(text) > 80 for text in paragraphs.values())
        assert re.findall(r"runbook: docs/operations\.md#(\w+)", RULES.read_text()) == [a.lower() for a in alerts()]

    def test_each_is_tested_loud_and_silent(self) -> None:
        text = (MONITORING / "alerts_test.yml").read_text()
        assert re.findall(r"        alertname: (\w+)\n +exp_alerts:\n", text) == alerts()
        assert re.findall(r"alertname: (\w+), exp_alerts: \[\] }", text) == alerts()


class TestPromtool:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        if shutil.which("promtool") is None:
            pytest.skip("promtool (Debian: prometheus) is not installed")

    @pytest.mark.parametrize(
        "arguments", [("test", "rules", "alerts_test.yml"), ("check", "config", "prometheus.yml")], ids=" ".join
    )
    def test_accepts(self, arguments: tuple[str, ...]) -> None:
        ran = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def test_understands_the_board(self, tmp_path: Path) -> None:
        exprs = [expr.replace("$__rate_interval", "5m") for expr in questions()]
        rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(exprs)]
        (tmp_path / "board.yml").write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))  # JSON is YAML
        ran = subprocess.run(
            ["promtool", "check", "rules", "--lint=none", tmp_path / "board.yml"], capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


class TestBoard:
    def test_is_what_grafana_can_import(self) -> None:
        board = json.loads(BOARD.read_text())
        assert board["schemaVersion"] >= 39
        assert [one["type"] for one in board["templating"]["list"]] == ["datasource"]
        ids = [panel["id"] for panel in panels()]
        assert len(set(ids)) == len(ids)
        for panel in panels():
            assert panel["type"] in ("row", "timeseries")
            if panel["type"] == "timeseries":
                assert panel["targets"], panel["title"]
                references = [target["refId"] for target in panel["targets"]]
                assert len(set(references)) == len(references)
                assert all(one["datasource"]["uid"] == "${datasource}" for one in (panel, *panel["targets"]))

    def test_no_panel_covers_another(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in panels():
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells
