"""The web client as it is served: libraries as recorded, no import that leads nowhere, both languages complete."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

WEB = Path(__file__).parents[2] / "web"
MODULES = sorted(path for path in WEB.rglob("*.js") if "tests" not in path.parts)
PAGES = sorted(WEB.rglob("*.html"))

_STATIC = re.compile(r"""\bfrom\s*["']([^"'\n]+)["']""")
_DYNAMIC = re.compile(r"""\bimport\(["']([^"']+)["']\)""")
_PRELOAD = re.compile(r'<link rel="modulepreload" href="([^"]+)"')
_TEXT = re.compile(r'^  "([^"]+)":', re.MULTILINE)


@pytest.fixture(scope="module")
def vendor() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_vendor", WEB / "vendor.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestVendor:
    def test_as_recorded(self, vendor: ModuleType) -> None:
        assert vendor.faults() == []

    def test_a_changed_a_missing_and_an_unknown_file(self, vendor: ModuleType, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(WEB / "vendor", tmp_path / "vendor"))
        (folder / "htm.js").write_text("changed")
        (folder / "preact.js").unlink()
        (folder / "extra.js").write_text("")
        assert vendor.faults(folder) == ["extra.js: unknown", "htm.js: changed", "preact.js: missing"]


class TestModules:
    @pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(WEB)))
    def test_what_is_imported_is_there(self, module: Path) -> None:
        imported = [*_STATIC.findall(module.read_text()), *_DYNAMIC.findall(module.read_text())]
        for name in imported:
            assert name.startswith("."), f"{name}: a browser resolves no bare name"
            assert (module.parent / name).is_file(), name

    def test_what_the_first_page_needs_is_asked_for_at_once(self) -> None:
        needed = _reachable(WEB / "app.js") - {WEB / "app.js"}
        preloaded = [WEB / name for name in _PRELOAD.findall((WEB / "index.html").read_text())]
        assert sorted(preloaded) == sorted(needed)

    @pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
    def test_those_that_need_no_browser(self) -> None:
        run = subprocess.run(["node", "--test", "tests/"], cwd=WEB, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout


class TestMarkup:
    @pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(WEB)))
    def test_nothing_that_the_content_security_policy_forbids(self, page: Path) -> None:
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|javascript:", text)


@pytest.mark.parametrize("spanish", sorted((WEB / "i18n").glob("es*.js")), ids=lambda path: path.name)
def test_both_languages_say_the_same(spanish: Path) -> None:
    english = spanish.with_name(spanish.name.replace("es", "en", 1))
    assert _texts(spanish) == _texts(english)


def _reachable(module: Path) -> set[Path]:
    found, waiting = set[Path](), [module]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += [(current.parent / name).resolve() for name in _STATIC.findall(current.read_text())]
    return found


def _texts(module: Path) -> list[str]:
    names = _TEXT.findall(module.read_text())
    assert len(names) == len(set(names)), "a name stands twice"
    return sorted(names)
