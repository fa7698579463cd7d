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

_MARKUP_OR_CODE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|dangerouslySet|srcdoc|document\.write"
    r"|\beval\(|new Function\b|set(?:Timeout|Interval)\([\"'`]|javascript:"
)
_ASSIGNED = re.compile(r"""[\w)]\[(?!["'\d])([^\]\n]+)\]\s*(?:\?\?|\|\|)?=(?![=>])""")
_KEPT = re.compile(r"localStorage|sessionStorage|indexedDB|document\.cookie|\bcaches\b|serviceWorker")
_LEAVES = re.compile(
    r"location\.(?:replace|assign)\(|location\s*=[^=]|location\.(?:href|hash)\s*=[^=]|window\.open|target=|_blank"
    r"|addEventListener\(\"message\"(?!, \(\{ data: \{ answer)|parent\.postMessage|opener"
)
_PASSWORD = re.compile(r"<\$\{PasswordField\}[^>]*>")
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


class TestDangers:
    """What the standard asks of pages (ASVS 5.0, V1.3, V3.2, V6.2, V14.3), as far as reading them shows it."""

    @pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(WEB)))
    def test_no_text_becomes_markup_or_code(self, module: Path) -> None:
        if "vendor" not in module.parts:
            assert not _MARKUP_OR_CODE.search(module.read_text())

    @pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(WEB)))
    def test_no_name_from_elsewhere_is_assigned_to(self, module: Path) -> None:
        """`Object.fromEntries` and spreads make properties of an object's own, whatever they are called."""
        names = _ASSIGNED.findall(module.read_text()) if "vendor" not in module.parts else []
        dotted = re.compile(r"`[^`]*\.[^`]*`")  # nothing of an object's own has a dot
        assert [name for name in names if name not in {"at", "kind"} and not dotted.fullmatch(name)] == []

    def test_one_place_keeps_things_in_the_browser(self) -> None:
        touching = {path for path in MODULES if _KEPT.search(path.read_text()) and "vendor" not in path.parts}
        assert touching == {WEB / "theme.js", WEB / "lib" / "storage.js"}

    def test_no_page_leads_or_listens_elsewhere(self) -> None:
        """Only the router and the page that mails lead to change the address, and only what is behind its `#`."""
        leaving = {path for path in MODULES if _LEAVES.search(path.read_text()) and "vendor" not in path.parts}
        assert leaving == {WEB / "mail-link.js", WEB / "lib" / "router.js"}
        assert "location.replace(`../#/${page}?" in (WEB / "mail-link.js").read_text()
        assert "globalThis.location.replace(link(" in (WEB / "lib" / "router.js").read_text()

    @pytest.mark.parametrize("file", [*PAGES, *sorted(WEB.glob("*.css"))], ids=lambda path: path.name)
    def test_nothing_comes_from_elsewhere(self, file: Path) -> None:
        assert not re.search(r"""(?:src|href)=["'](?:\w+:)?//|@import|url\(["']?(?:\w+:)?//""", file.read_text())

    def test_passwords_are_hidden_and_may_be_pasted_and_kept(self) -> None:
        fields = [tag for path in MODULES for tag in _PASSWORD.findall(path.read_text())]
        assert len(fields) >= 3
        assert all(re.search('autocomplete="(?:current|new)-password"', tag) for tag in fields)
        assert 'type=${shown ? "text" : "password"}' in (WEB / "lib" / "form.js").read_text()
        assert not [
            path for path in MODULES if re.search(r"\bon(?:paste|copy|drop)\b", path.read_text(), re.IGNORECASE)
        ]

    def test_who_is_logged_in_can_log_out_on_every_page(self) -> None:
        top = (WEB / "app.js").read_text().split("function Top(")[1].split("\nfunction ")[0]
        assert "${usuario.value\n        ? html`<${CartLink} /><${LogOut} />`" in top


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
