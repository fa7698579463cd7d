"""A session that ends, as the services of a whole installation learn of it."""

import time
from uuid import uuid4

import httpx2
from e2e.helpers import ADMIN

from comanda.cli.installation import Installation

PATHS = {"productos": "/productos", "inventario": "/inventario", "pedidos": "/pedidos"}
SECONDS_TO_LEARN = 30
"""Five, and what a busy machine takes."""


def test_its_access_token_is_refused_everywhere(comanda: Installation) -> None:
    email = f"{uuid4().hex}@example.com"
    with httpx2.Client() as client:
        auth = comanda.address("auth")
        client.post(f"{auth}/auth/usuarios", json={"email": email, "password": ADMIN[1]}).raise_for_status()
        form = {"grant_type": "password", "username": email, "password": ADMIN[1]}
        lost, own = [client.post(f"{auth}/auth/token", data=form).json()["access_token"] for _ in range(2)]

        def answers(token: str) -> set[int]:
            headers = {"Authorization": f"Bearer {token}"}
            return {
                client.get(comanda.address(name) + path, headers=headers).status_code for name, path in PATHS.items()
            }

        assert (answers(lost), answers(own)) == ({200}, {200})
        events, headers = f"{comanda.address('pedidos')}/pedidos/eventos", {"Authorization": f"Bearer {lost}"}
        with client.stream("GET", events, headers=headers, timeout=SECONDS_TO_LEARN) as stream:
            ended = client.post(
                f"{auth}/auth/yo/sesiones/terminar",
                json={"password": ADMIN[1]},
                headers={"Authorization": f"Bearer {own}"},
            )
            assert ended.status_code == 204
            assert client.get(f"{auth}/auth/yo", headers={"Authorization": f"Bearer {lost}"}).status_code == 401
            deadline = time.monotonic() + SECONDS_TO_LEARN
            while answers(lost) != {401}:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            told = ""
            for line in stream.iter_lines():  # it has an end
                told += line
                assert time.monotonic() < deadline + SECONDS_TO_LEARN
            assert "sesion-terminada" in told
        assert answers(own) == {200}
