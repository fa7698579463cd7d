"""compose.yaml as Compose reads it: interpolated, its anchors merged, and valid by the Compose specification."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
GIVEN = {"COMANDA_USER": "10001:10001"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose(given: Mapping[str, str] = GIVEN) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text(given))
    return found


def text(given: Mapping[str, str] = GIVEN) -> str:
    """The file with its variables filled in (Compose specification, Interpolation)."""

    def fill(match: "re.Match[str]") -> str:
        name, kind, rest = match.groups()
        if kind == "-":
            return given.get(name) or str(rest)
        return given[name]

    return _VARIABLE.sub(fill, FILE.read_text("utf-8"))


def variables(service: Mapping[str, Any], secrets: Path) -> dict[str, str]:
    """What a container's environment is: the files first, then what is written in place."""
    found: dict[str, str] = {}
    for name in service.get("env_file", []):
        path = secrets / Path(name).name
        found |= dict(line.split("=", 1) for line in path.read_text().splitlines())
    return found | {name: str(value) for name, value in service.get("environment", {}).items()}


def mounts(service: Mapping[str, Any]) -> dict[str, str]:
    """Where in the container each file or folder of the repository is, by its path here."""
    pairs = [volume.split(":") for volume in service.get("volumes", [])]
    return {target: source for source, target, *_ in pairs if source.startswith("./")}
