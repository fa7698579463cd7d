"""Who asks for more than it has: at login, at refresh, and after its role or account was taken away."""

from typing import Any

import pytest
import pytest_asyncio
from attack.target import ADMIN_EMAIL, PASSWORD, Target, bearer, some_email
from contract.system import ADMIN, CLIENTE

from comanda.testing import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEYOND_ANY_ROLE = ("reservas:escribir", "movimientos:leer", "*", "admin", "pedidos:*", "PEDIDOS:LEER")
MORE = (*sorted(set(ADMIN) - set(CLIENTE)), *BEYOND_ANY_ROLE)


@pytest_asyncio.fixture(loop_scope="module")
async def email(target: Target) -> str:
    """That of a new client."""
    email = some_email()
    await target.registrar(email)
    return email


async def manage(target: Target, usuario_id: str, **changes: Any) -> None:
    response = await target.auth.patch(f"/auth/usuarios/{usuario_id}", json=changes, headers=target.admin)
    assert response.status_code == 200, response.text


async def whoami(target: Target, tokens: dict[str, Any]) -> Any:
    return await target.auth.get("/auth/yo", headers=bearer(tokens["access_token"]))


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


class TestLogin:
    @pytest.mark.parametrize("scope", MORE)
    async def test_with_a_scope_that_the_role_does_not_give(self, target: Target, email: str, scope: str) -> None:
        for asked in (scope, f"pedidos:propios {scope}", f"{scope} pedidos:propios"):
            form = {"grant_type": "password", "username": email, "password": PASSWORD, "scope": asked}
            assert refusal(await target.token(**form)) == (400, "invalid_scope")

    @pytest.mark.parametrize(
        "scope",
        ["pedidos:propios\tusuarios:gestionar", "pedidos:propios\nusuarios:gestionar", "pedidos:propios,admin", "\0"],
    )
    async def test_with_a_scope_written_oddly(self, target: Target, email: str, scope: str) -> None:
        form = {"grant_type": "password", "username": email, "password": PASSWORD, "scope": scope}
        assert refusal(await target.token(**form)) == (400, "invalid_scope")

    async def test_other_parameters_give_nothing(self, target: Target, email: str) -> None:
        extra = {"rol": "admin", "role": "admin", "alcance": "usuarios:gestionar", "sub": target.jefa, "resource": "x"}
        assert (await target.entrar(email, **extra))["scope"].split() == list(CLIENTE)

    async def test_not_even_an_admin_writes_reservations(self, target: Target) -> None:
        tokens = await target.entrar(ADMIN_EMAIL)
        assert set(tokens["scope"].split()) == set(ADMIN)
        assert refusal(await target.renovar(tokens["refresh_token"], scope="reservas:escribir")) == (
            400,
            "invalid_scope",
        )


class TestRefresh:
    @pytest.mark.parametrize("scope", MORE)
    async def test_wider_than_the_role(self, target: Target, email: str, scope: str) -> None:
        tokens = await target.entrar(email)
        assert refusal(await target.renovar(tokens["refresh_token"], scope=scope)) == (400, "invalid_scope")

    async def test_a_narrowed_session_stays_narrow(self, target: Target, email: str) -> None:
        tokens = await target.entrar(email, scope="productos:leer")
        for wider in ("pedidos:crear", "productos:leer pedidos:crear", " ".join(CLIENTE)):
            assert refusal(await target.renovar(tokens["refresh_token"], scope=wider)) == (400, "invalid_scope")
        renewed = (await target.renovar(tokens["refresh_token"])).json()
        assert renewed["scope"] == "productos:leer"
        response = await target.system.pedidos.post("/pedidos", json={}, headers=bearer(renewed["access_token"]))
        assert (response.status_code, problem(response)) == (403, "no-autorizado")

    async def test_a_narrowed_session_of_an_admin_stays_narrow(self, target: Target) -> None:
        tokens = await target.entrar(ADMIN_EMAIL, scope="productos:leer")
        wider = await target.renovar(tokens["refresh_token"], scope="usuarios:gestionar")
        assert refusal(wider) == (400, "invalid_scope")
        response = await target.auth.get("/auth/usuarios", headers=bearer(tokens["access_token"]))
        assert (response.status_code, problem(response)) == (403, "no-autorizado")

    async def test_of_somebody_else(self, target: Target, email: str) -> None:
        """The token alone says whose session it is; no parameter moves it."""
        mine = await target.entrar(email)
        renewed = (await target.renovar(mine["refresh_token"], username=ADMIN_EMAIL, sub=target.jefa)).json()
        assert (await whoami(target, renewed)).json()["email"] == email

    async def test_a_generation_or_session_of_ones_own_making(self, target: Target, email: str) -> None:
        tokens = await target.entrar(email)
        token = tokens["refresh_token"]
        for place in (0, 10, 25, 30, 69):
            changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            assert refusal(await target.renovar(changed)) == (400, "invalid_grant")
        assert (await target.renovar(token)).status_code == 200  # none of that ended the session


class TestRole:
    async def test_taken_away_ends_the_session(self, target: Target, email: str) -> None:
        usuario_id = (await whoami(target, await target.entrar(email))).json()["id"]
        await manage(target, usuario_id, rol="admin")
        tokens = await target.entrar(email)
        assert "usuarios:gestionar" in tokens["scope"].split()
        await manage(target, usuario_id, rol="cliente")
        assert refusal(await target.renovar(tokens["refresh_token"])) == (400, "invalid_grant")
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        assert refusal(await target.token(**form, scope="usuarios:gestionar")) == (400, "invalid_scope")
        assert (await target.entrar(email))["scope"].split() == list(CLIENTE)

    async def test_taken_away_gives_no_rights_to_others_before(self, target: Target, email: str) -> None:
        """Even a token that nobody could have withdrawn: auth asks the database who manages users."""
        usuario_id = (await whoami(target, await target.entrar(email))).json()["id"]
        await manage(target, usuario_id, rol="admin")
        old = target.system.issuer.headers("usuarios:gestionar", subject=usuario_id)
        await manage(target, usuario_id, rol="cliente")
        for victim, changes in (
            (usuario_id, {"rol": "admin"}),
            (target.eva, {"rol": "admin"}),
            (target.eva, {"activo": False}),
        ):
            response = await target.auth.patch(f"/auth/usuarios/{victim}", json=changes, headers=old)
            assert (response.status_code, problem(response)) == (403, "no-autorizado")

    async def test_is_no_field_of_ones_own_account(self, target: Target, email: str) -> None:
        tokens = await target.entrar(email)
        response = await target.auth.patch(
            "/auth/yo", json={"nombre": "a", "rol": "admin"}, headers=bearer(tokens["access_token"])
        )
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")
        assert (await whoami(target, tokens)).json()["rol"] == "cliente"


class TestDeactivated:
    async def test_has_no_way_left(self, target: Target, email: str) -> None:
        tokens = await target.entrar(email)
        usuario_id = (await whoami(target, tokens)).json()["id"]
        await manage(target, usuario_id, activo=False)
        assert refusal(await target.renovar(tokens["refresh_token"])) == (400, "invalid_grant")
        again = await target.token(grant_type="password", username=email, password=PASSWORD)
        assert refusal(again) == (400, "invalid_grant")
        headers = bearer(tokens["access_token"])
        for method, path, body in (
            ("GET", "/auth/yo", None),
            ("PATCH", "/auth/yo", {"nombre": "yo"}),
            ("POST", "/auth/yo/password", {"actual": PASSWORD, "nueva": "otra clave larga"}),
        ):
            response = await target.auth.request(method, path, json=body, headers=headers)
            assert (response.status_code, problem(response)) == (401, "no-autenticado"), path

    async def test_gets_no_session_back_with_its_account(self, target: Target, email: str) -> None:
        tokens = await target.entrar(email)
        usuario_id = (await whoami(target, tokens)).json()["id"]
        await manage(target, usuario_id, activo=False)
        await manage(target, usuario_id, activo=True)
        assert refusal(await target.renovar(tokens["refresh_token"])) == (400, "invalid_grant")
        await target.entrar(email)
