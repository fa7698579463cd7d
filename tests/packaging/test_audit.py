"""What `.ci/audit.py` makes of pip-audit's answers."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"
FAULT = {"id": "PYSEC-1", "aliases": ["CVE-1", "GHSA-1"], "fix_versions": ["2.0"], "description": ""}


@pytest.fixture(scope="module")
def audit() -> Any:
    specification = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def answer(*vulns: Any) -> dict[str, Any]:
    return {"dependencies": [{"name": "sana", "version": "1", "vulns": []}, dependency(*vulns)], "fixes": []}


def dependency(*vulns: Any) -> dict[str, Any]:
    return {"name": "mala", "version": "1.0", "vulns": list(vulns)}


class TestJudge:
    def test_nothing_known(self, audit: Any) -> None:
        assert audit.judge(answer(), "", {}) == (["audit: 2 packages, 0 known vulnerabilities"], 0)

    def test_a_finding_fails_the_build(self, audit: Any) -> None:
        lines, code = audit.judge(answer(FAULT), "", {"CVE-2": "x"})
        assert code == 1
        assert lines[0] == "VULNERABLE: mala 1.0: PYSEC-1, fixed in 2.0"

    @pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1", "GHSA-1"])
    def test_one_that_may_stay(self, audit: Any, name: str) -> None:
        lines, code = audit.judge(answer(FAULT), "", {name: "not called"})
        assert code == 0
        assert lines[0] == "ignored: mala 1.0: PYSEC-1, fixed in 2.0: not called"

    def test_pypi_away(self, audit: Any) -> None:
        lines, code = audit.judge(None, "connection refused", {})
        assert code == 0
        assert lines[0].startswith("WARNING: NOTHING WAS AUDITED")
        assert lines[0].endswith("connection refused")

    def test_an_index_that_knows_no_vulnerabilities(self, audit: Any) -> None:
        skipped = {"name": "mala", "version": "1.0", "skip_reason": "not found"}
        lines, code = audit.judge({"dependencies": [skipped]}, "", {})
        assert (lines[0].split(":")[1], code) == (" NOTHING WAS AUDITED", 0)
        lines, code = audit.judge({"dependencies": [skipped, dependency(FAULT)]}, "", {})
        assert lines[1:] == ["WARNING: not audited: mala", "audit: 1 packages, 1 known vulnerabilities"]
        assert code == 1


class TestReasons:
    def test_one_for_each(self, audit: Any) -> None:
        assert audit.reasons("# a\n\nCVE-1 not called # b\n") == {"CVE-1": "not called"}
        with pytest.raises(ValueError, match="CVE-2 has no reason"):
            audit.reasons("CVE-2\n")

    def test_the_file(self, audit: Any) -> None:
        assert audit.reasons((SCRIPT.parent / "audit-ignore").read_text()) == {}
