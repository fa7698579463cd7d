"""The libraries of the web client: checks `vendor/` against its manifest, or fetches it anew from npm.

`python web/vendor.py` checks, without a network; `python web/vendor.py --refresh` fetches the versions that
`vendor/manifest.json` names (needs `npm`) and writes files and hashes. To take a newer version, change it there first.

Browsers resolve no bare names without an import map, which our Content-Security-Policy forbids, so `from "preact"` is
rewritten to the file beside it. Source map comments go, because the maps do not come along.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).parent / "vendor"
MANIFEST = VENDOR / "manifest.json"

_BARE = re.compile(r"""\b(from|import)\s*(["'])([^."'][^"']*)\2""")
_SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=\S+\s*\Z")


def faults(vendor: Path = VENDOR) -> list[str]:
    """What differs from the manifest, one line each: missing, changed and unknown files."""
    packages = json.loads((vendor / "manifest.json").read_text())
    expected = {name: file["sha256"] for package in packages.values() for name, file in package["files"].items()}
    found = {path.name: _sha256(path.read_bytes()) for path in vendor.iterdir() if path.name != "manifest.json"}
    return [
        f"{name}: " + ("missing" if name not in found else "unknown" if name not in expected else "changed")
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def refresh(vendor: Path = VENDOR) -> None:
    """Fetches every package of the manifest, writes its files, and records what they are."""
    manifest = vendor / "manifest.json"
    packages: dict[str, dict[str, Any]] = json.loads(manifest.read_text())
    modules = {file["module"]: name for p in packages.values() for name, file in p["files"].items() if "module" in file}
    for package_name, package in packages.items():
        with tempfile.TemporaryDirectory() as folder:
            archive = _packed(f"{package_name}@{package['version']}", Path(folder))
            package["sha256"] = _sha256(archive.read_bytes())
            with tarfile.open(archive) as files:
                for name, file in package["files"].items():
                    content = _browsable(_member(files, file["from"]), modules, file)
                    (vendor / name).write_bytes(content)
                    file["sha256"] = _sha256(content)
    manifest.write_text(json.dumps(packages, indent=2) + "\n")


def _packed(specification: str, folder: Path) -> Path:
    """The archive of a published version; npm compares it with the hash that the registry states."""
    subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder, specification], cwd=folder, check=True)
    return next(folder.glob("*.tgz"))


def _member(files: tarfile.TarFile, name: str) -> bytes:
    member = files.extractfile(f"package/{name}")
    if member is None:
        raise FileNotFoundError(name)
    return member.read()


def _browsable(content: bytes, modules: dict[str, str], file: dict[str, str]) -> bytes:
    """The file as a browser can load it."""
    text = _SOURCE_MAP.sub("", content.decode())
    if "module" in file:
        text = _BARE.sub(lambda found: f"{found[1]}{found[2]}./{modules[found[3]]}{found[2]}", text)
    if "export" in file:  # a script that sets a global variable
        text += f"\nexport default {file['export']};"
    return (text.rstrip("\n") + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    if "--refresh" in sys.argv[1:]:
        refresh()
    if found := faults():
        sys.exit("\n".join(found))
