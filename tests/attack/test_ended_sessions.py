"""Access tokens of what has ended: refused by auth at once, and by the others as soon as they have asked it again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
import structlog
from attack.target import ADMIN_EMAIL, PASSWORD, Target, bearer, refused, some_email

from comanda.common.revocation import PolledRevocations
from comanda.pedidos.routes_eventos import ENDED

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHERS = ("productos", "inventario", "pedidos")
NUEVA = "otra clave bien larga"
End = Callable[[Target, "Ana"], Awaitable[Any]]


class Ana:
    """Somebody with two sessions, `headers` that of the one that is about to end."""

    def __init__(self, target: Target) -> None:
        self.target, self.email = target, some_email()

    async def enter(self) -> "Ana":
        self.id = await self.target.registrar(self.email)
        self.tokens, self.others = [await self.target.entrar(self.email) for _ in range(2)]
        self.headers, self.other = bearer(self.tokens["access_token"]), bearer(self.others["access_token"])
        return self

    async def sid(self) -> str:
        page = (await self.target.auth.get("/auth/yo/sesiones", headers=self.headers)).json()
        return next(str(one["id"]) for one in page["elementos"] if one["actual"])


@pytest_asyncio.fixture(loop_scope="module")
async def ana(target: Target) -> Ana:
    return await Ana(target).enter()


async def poll(target: Target, *services: str) -> None:
    """What the loops of the services do every five seconds."""
    for service in services or OTHERS:
        revocations = target.apps[service].state.wiring.verifier.revocations
        assert isinstance(revocations, PolledRevocations)
        await revocations.poll()


async def works(target: Target, headers: dict[str, str], *services: str) -> None:
    for service in services or OTHERS:
        path = {"productos": "/productos", "inventario": "/inventario", "pedidos": "/pedidos"}[service]
        assert (await target.clients[service].get(path, headers=headers)).status_code == 200, service


async def end_it(target: Target, ana: Ana) -> Any:
    return await target.auth.delete(f"/auth/yo/sesiones/{await ana.sid()}", headers=ana.headers)


async def end_all(target: Target, ana: Ana) -> Any:
    return await target.auth.delete("/auth/yo/sesiones", headers=ana.headers)


async def end_others(target: Target, ana: Ana) -> Any:
    return await target.auth.post("/auth/yo/sesiones/terminar", json={"password": PASSWORD}, headers=ana.other)


async def log_out(target: Target, ana: Ana) -> Any:
    return await target.auth.post("/auth/revocar", data={"token": ana.tokens["refresh_token"]})


async def change_password(target: Target, ana: Ana) -> Any:
    body = {"actual": PASSWORD, "nueva": NUEVA}
    return await target.auth.post("/auth/yo/password", json=body, headers=ana.other)


async def deactivate(target: Target, ana: Ana) -> Any:
    return await target.auth.patch(f"/auth/usuarios/{ana.id}", json={"activo": False}, headers=target.admin)


async def demote(target: Target, ana: Ana) -> Any:
    path = f"/auth/usuarios/{ana.id}"
    await target.auth.patch(path, json={"rol": "admin"}, headers=target.admin)
    return await target.auth.patch(path, json={"rol": "cliente"}, headers=target.admin)


async def erase(target: Target, ana: Ana) -> Any:
    return await target.auth.post("/auth/yo/borrar", json={"password": PASSWORD}, headers=ana.other)


async def reuse(target: Target, ana: Ana) -> Any:
    second = (await target.renovar(ana.tokens["refresh_token"])).json()
    await target.renovar(second["refresh_token"])
    assert (await target.renovar(ana.tokens["refresh_token"])).status_code == 400
    return await target.auth.get("/livez")


class TestAccessToken:
    @pytest.mark.parametrize(
        "end", [end_it, end_all, end_others, log_out, change_password, deactivate, demote, erase, reuse]
    )
    async def test_dies_with_its_session(self, target: Target, ana: Ana, end: End) -> None:
        await works(target, ana.headers)  # so that every service remembers having verified it
        assert (await end(target, ana)).status_code in (200, 204)
        await refused(target, ana.tokens["access_token"], "auth")
        await poll(target)
        await refused(target, ana.tokens["access_token"])

    @pytest.mark.parametrize("end", [end_it, end_others, log_out, change_password, reuse])
    async def test_of_another_session_lives_on(self, target: Target, ana: Ana, end: End) -> None:
        await end(target, ana)
        await poll(target)
        await works(target, ana.other)
        assert (await target.auth.get("/auth/yo", headers=ana.other)).status_code == 200

    async def test_ends_the_stream_that_it_began(self, target: Target, ana: Ana) -> None:
        state = target.apps["pedidos"].state
        uno, otro = [
            await state.eventos.open(await state.wiring.verifier.verify(token), ana.id, None)
            for token in (ana.tokens["access_token"], ana.others["access_token"])
        ]
        await end_it(target, ana)
        await poll(target)
        await state.eventos.look_at_the_sessions()
        assert (uno.end, otro.end) == (ENDED, None)
        for stream in (uno, otro):
            state.eventos.close(stream)

    async def test_of_a_service_account(self, target: Target) -> None:
        admin = bearer((await target.entrar(ADMIN_EMAIL))["access_token"])
        body = {"nombre": "ERP", "alcances": ["productos:leer", "inventario:leer", "pedidos:leer"]}
        made = (await target.auth.post("/auth/clientes", json=body, headers=admin)).json()
        form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["client_secret"]}
        token = (await target.token(**form)).json()["access_token"]
        await works(target, bearer(token))
        await target.auth.delete(f"/auth/clientes/{made['id']}", headers=admin)
        await poll(target)
        await refused(target, token)


class TestAuthAway:
    async def test_what_was_known_stays_known_and_the_rest_works(self, target: Target, ana: Ana) -> None:
        await end_it(target, ana)
        await poll(target)
        target.system.red.caer("auth")
        try:
            with structlog.testing.capture_logs() as lines:
                await poll(target)
                await poll(target)
            failures = [line for line in lines if line["event"] == "ended_sessions_not_fetched"]
            assert len(failures) == len(OTHERS)  # told once, not every five seconds
            await refused(target, ana.tokens["access_token"], *OTHERS)
            await works(target, ana.other)
        finally:
            target.system.red.volver("auth")
        await poll(target)
        await works(target, ana.other)

    async def test_a_hanging_auth_hangs_nobody(self, target: Target, ana: Ana) -> None:
        pausa = target.system.red.pausar("auth", "GET", antes=True)
        polling = asyncio.create_task(poll(target, "productos"))
        await pausa.llegada.wait()
        await works(target, ana.headers)
        pausa.seguir.set()
        await polling
