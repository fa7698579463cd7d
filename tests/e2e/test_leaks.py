"""No token, password or key gets into a log: looked for when an installation ends; here, that the search finds."""

from pathlib import Path

import httpx2
import pytest
from e2e.helpers import ADMIN
from e2e.leaks import leaks

from comanda.cli.installation import Installation
from comanda.common.clock import SystemClock
from comanda.testing import Issuer

REFRESH = "AZ" * 35
REQUEST = '{"servicio": "auth", "event": "request", "method": "POST", "path": "/auth/token", "status": 200}'


class TestLeaks:
    @pytest.mark.parametrize(
        ("planted", "what"),
        [
            (Issuer(SystemClock()).token("pedidos:crear"), "a JWT"),
            ("Authorization: Bearer abcdefgh-no-jwt", "a bearer token"),
            (f'"refresh_token": "{REFRESH}"', "a refresh token"),
            (ADMIN[1], "a secret of this run"),
            ("-----BEGIN PRIVATE KEY-----", "a private key"),
        ],
    )
    def test_finds_what_is_planted(self, tmp_path: Path, planted: str, what: str) -> None:
        (tmp_path / "auth.log").write_text(f"{REQUEST}\n{REQUEST[:-1]}, {planted}\n{REQUEST}\n")
        (tmp_path / "pedidos.log").write_text(REQUEST)
        found = leaks(tmp_path, [ADMIN[1]])
        assert {entry.split(": ")[0] for entry in found} == {"auth.log:2"}
        assert what in {entry.split(": ")[1] for entry in found}

    def test_in_rotated_logs_too(self, tmp_path: Path) -> None:
        (tmp_path / "auth.log").touch()
        (tmp_path / "auth.log.1").write_text(ADMIN[1])
        assert [entry.split(":")[0] for entry in leaks(tmp_path, [ADMIN[1]])] == ["auth.log.1"]

    def test_ids_are_no_secrets(self, tmp_path: Path) -> None:
        ids = " ".join(["01a20ecd-9ae2-71e9-bffb-d1c6af3db9de"] * 4)
        (tmp_path / "pedidos.log").write_text(f"{REQUEST} {ids} {'a' * 69} {'b' * 71} Bearer eyJ")
        assert leaks(tmp_path, [ADMIN[1]]) == []

    def test_there_have_to_be_logs(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            leaks(tmp_path, [])


class TestLogs:
    def test_no_secret_of_any_request(self, comanda: Installation) -> None:
        """Requests that carry secrets where they do not belong, and then everything logged so far by any test."""
        form = {"grant_type": "password", "username": ADMIN[0], "password": ADMIN[1], "client_id": "comanda-web"}
        with httpx2.Client() as client:
            tokens = client.post(f"{comanda.address('auth')}/auth/token", data=form).json()
            access, refresh = tokens["access_token"], tokens["refresh_token"]
            for service in ("auth", "productos", "inventario", "pedidos"):
                for token in (access, refresh, "roto"):
                    query = {"access_token": token, "password": ADMIN[1]}
                    bearer = {"Authorization": f"Bearer {token}", "Cookie": f"x={token}"}
                    answer = client.get(f"{comanda.address(service)}/circuitos", params=query, headers=bearer)
                    assert answer.status_code == (200 if token == access else 401)
            for body in ({"token": refresh}, {"token": "roto"}):
                assert client.post(f"{comanda.address('auth')}/auth/revocar", data=body).status_code == 200
        log = (comanda.data / "logs" / "auth.log").read_text()
        assert '"path": "/circuitos"' in log
        assert leaks(comanda.data / "logs", [ADMIN[1], access, refresh]) == []
