"""What services say, in the web client's words: every problem, every line of the audit log, every objection."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from comanda.auth.domain_password import objecion, objecion_de_contexto, objecion_de_longitud
from comanda.pedidos.domain import Fase

ROOT = Path(__file__).parents[2]
I18N = ROOT / "web" / "i18n"
LANGUAGES = pytest.mark.parametrize("language", ["es", "en"])

NOT_SHOWN = {
    *("json-invalido", "tipo-no-admitido", "metodo-no-permitido", "sin-host"),  # requests that the client never makes
    *("peticion-mal-formada", "peticion-ilegible", "cabecera-demasiado-lenta", "cabecera-demasiado-grande"),
    "url-demasiado-larga",  # what people type into an address is short
    *("reserva-cerrada", "reserva-confirmada", "venta-desconocida"),  # between services, and to those who mend them
    "demasiados-flujos",  # looks every few seconds instead
    "segundo-factor-requerido",  # asks for the code
}

_SLUG = re.compile(r'status, slug, title = \d+, "([a-z0-9-]+)"')
_TOLD = re.compile(r"_audit\.(?:tell|note|entry)\(\s*(?:connection,\s*)?(?:\"(\w+)\"|(\S))")
_CHOSEN = re.compile(r'suceso, objeto = "(\w+)"')
_OBJECTION = re.compile(r'DatosInvalidos\.of\(\s*"\w+",\s*"([^"{]+)"')
_TRANSLATE = """
import "./tests/browser.js";
const { chooseLanguage } = await import("./lib/i18n.js");
const { translated } = await import("./lib/form.js");
await chooseLanguage("en");
const messages = JSON.parse(process.argv[1]);
process.stdout.write(JSON.stringify(messages.map(translated)));
"""


@LANGUAGES
def test_problems(language: str) -> None:
    slugs = _found(_SLUG, ROOT / "libs", ROOT / "services") - NOT_SHOWN
    assert len(slugs) > 30
    assert sorted(f"problema.{slug}" for slug in slugs if f"problema.{slug}" not in _names(language)) == []


@LANGUAGES
def test_audit_log(language: str) -> None:
    told = [pair for text in _sources(ROOT / "services") for pair in _TOLD.findall(text)]
    assert sum(not name for name, _ in told) == 2, "one that is chosen before, and the phases of orders"
    names = {name for name, _ in told if name} | _found(_CHOSEN, ROOT / "services")
    names |= {f"pedido_{fase.value.lower()}" for fase in Fase}
    assert len(names) > 30
    assert sorted(f"suceso.{name}" for name in names if f"suceso.{name}" not in _names(language)) == []


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_objections() -> None:
    """As the services make them: a text of ours for each, with what is of the case in it."""
    policy = [
        objecion_de_longitud("corta"),
        objecion_de_longitud("x" * 1_000),
        objecion("persona@ejemplo.es", "persona@ejemplo.es"),
        objecion("passwordpassword"),
        objecion_de_contexto("comanda12345", {"comanda"}),
        *re.findall(r'return "([^"]+)"', (ROOT / "services/auth/src/comanda/auth/politica.py").read_text()),
    ]
    others = _found(_OBJECTION, ROOT / "services" / "auth")
    messages = [
        *policy,
        *others,
        "Falta.",
        "Debe tener 1 caracteres o más.",
        "No puede contener caracteres de control.",
    ]
    assert None not in messages
    command = ["node", "--input-type=module", "-e", _TRANSLATE, json.dumps(messages)]
    run = subprocess.run(command, cwd=ROOT / "web", capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    english = json.loads(run.stdout)
    assert [message for message, said in zip(messages, english, strict=True) if message == said] == []
    assert english[0] == "Must have 12 characters or more."
    assert "Must have 1 character or more." in english
    assert "“comanda”" in english[4]


def _found(pattern: re.Pattern[str], *folders: Path) -> set[str]:
    return {name for folder in folders for text in _sources(folder) for name in pattern.findall(text)}


def _sources(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("src/**/*.py")]


def _names(language: str) -> set[str]:
    texts = [path.read_text() for path in I18N.glob(f"{language}*.js")]
    return {name for text in texts for name in re.findall(r'^  "([^"]+)":', text, re.MULTILINE)}
