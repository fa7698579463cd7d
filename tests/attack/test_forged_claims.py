"""Tokens rightly signed that say what they must not: times, issuer, audience, type, and who speaks for whom."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from attack.forger import Forger
from attack.target import ADMIN_EMAIL, LECTURAS, SERVICES, Target, bearer, refused
from token_forging import OTHER_KEY

from comanda.testing import ISSUER, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGINES = ("sqlite",)

YEAR = 31_536_000


@pytest.fixture
def forger(target: Target) -> Forger:
    return Forger(target)


@dataclass(frozen=True)
class In:
    """That many seconds from now."""

    seconds: int


NOT_A_TIME = (None, True, -1, "9999999999", [9999999999], {}, 1e300, 10**400, float("nan"), float("inf"))
CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": In(-30)},
    "expired-long-ago": {"iat": In(-YEAR), "exp": In(900 - YEAR)},
    "iat-in-the-future": {"iat": In(31)},
    "nbf-in-the-future": {"nbf": In(31)},
    **{f"no-{claim}": {claim: ...} for claim in ("exp", "iat", "sub", "jti", "iss", "aud")},
    **{f"{claim}-{value!r}"[:30]: {claim: value} for claim in ("exp", "iat", "nbf") for value in NOT_A_TIME},
    "issuer-other": {"iss": "http://evil.test"},
    "issuer-with-a-slash": {"iss": "http://127.0.0.1:8000/"},
    "issuer-with-a-space": {"iss": "http://127.0.0.1:8000 "},
    "issuer-list": {"iss": ["http://127.0.0.1:8000"]},
    "issuer-null": {"iss": None},
    "issuer-a-service": {"iss": "pedidos", "sub": "pedidos"},
    "audience-other": {"aud": "otra"},
    "audience-prefix": {"aud": "comanda-de-otros"},
    "audience-case": {"aud": "Comanda"},
    "audience-joined": {"aud": "otra comanda"},
    "audience-empty": {"aud": []},
    "audience-nested": {"aud": [["comanda"]]},
    "audience-mixed": {"aud": ["comanda", 7]},
    "audience-object": {"aud": {"comanda": True}},
    "audience-of-others": {"aud": ["otra", "inventario"]},
    "subject-number": {"sub": 7},
    "subject-empty": {"sub": ""},
    "subject-list": {"sub": ["a"]},
    "jti-number": {"jti": 7},
    "scope-list": {"scope": ["usuarios:gestionar"]},
    "scope-object": {"scope": {"usuarios:gestionar": True}},
}


@pytest.mark.parametrize("name", CLAIMS)
class TestClaims:
    async def test_out_of_bounds(self, target: Target, forger: Forger, name: str) -> None:
        claims = {
            claim: target.now + value.seconds if isinstance(value, In) else value
            for claim, value in CLAIMS[name].items()
        }
        await refused(target, forger.token(**claims))


class TestLeeway:
    async def test_is_thirty_seconds_and_no_more(self, target: Target, forger: Forger) -> None:
        for claims in ({"exp": target.now - 29}, {"iat": target.now + 30}, {"nbf": target.now + 30}):
            token = forger.token(**claims)
            for service in SERVICES:
                response = await target.clients[service].get(LECTURAS[service], headers=bearer(token))
                assert response.status_code == 200, (service, claims)


class TestText:
    async def test_claims_given_twice(self, target: Target, forger: Forger) -> None:
        """Two readers may disagree on which one counts: whichever it is, it was auth that signed; here nobody could."""
        payload = json.dumps(forger.claims())
        for name, value in (("exp", 1), ("aud", "otra"), ("iss", "http://evil.test"), ("sub", "")):
            doubled = payload[:-1] + f', "{name}": {json.dumps(value)}}}'
            await refused(target, forger.sign(json.dumps(forger.header()), doubled))

    async def test_only_auth_can_sign_claims_given_twice(self, target: Target, forger: Forger) -> None:
        payload = json.dumps(forger.claims())[:-1] + ', "scope": "usuarios:gestionar"}'
        await refused(target, forger.sign(json.dumps(forger.header()), payload, OTHER_KEY))

    @pytest.mark.parametrize("payload", ["", "null", "[]", "7", '"a"', "{", "{}", "[" * 1500, "\x00", "{}{}"])
    async def test_no_claims_at_all(self, target: Target, forger: Forger, payload: str) -> None:
        await refused(target, forger.sign(json.dumps(forger.header()), payload))


@pytest.mark.parametrize(
    "typ",
    [..., None, "", "JWT", "jwt", "at", "at+jwt ", "rt+jwt", "svc+jwt", "logout+jwt", "dpop+jwt", ["at+jwt"], True],
    ids=repr,
)
class TestType:
    async def test_is_none_of_an_access_token(self, target: Target, forger: Forger, typ: Any) -> None:
        await refused(target, forger.token(header={"typ": typ}))


class TestForeignIssuer:
    async def test_signs_well_by_its_own_key(self, target: Target, forger: Forger) -> None:
        for issuer in ("http://evil.test", "http://127.0.0.1:8000", "https://127.0.0.1:8000", "auth"):
            header = {"kid": OTHER_KEY.kid}
            await refused(target, forger.token(header=header, key=OTHER_KEY, iss=issuer, scope="usuarios:gestionar"))


class TestRefreshToken:
    async def test_is_no_access_token(self, target: Target) -> None:
        await refused(target, (await target.entrar(ADMIN_EMAIL))["refresh_token"])

    async def test_an_access_token_is_none(self, target: Target, forger: Forger) -> None:
        tokens = await target.entrar("ana@ejemplo.es")
        for token in (tokens["access_token"], forger.token()):
            response = await target.renovar(token)
            assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
            assert (await target.token(grant_type="refresh_token", refresh_token=token, scope="")).status_code == 400

    async def test_revoking_an_access_token_ends_nobodys_session(self, target: Target) -> None:
        tokens = await target.entrar("ana@ejemplo.es")
        response = await target.auth.post("/auth/revocar", data={"token": tokens["access_token"]})
        assert response.status_code == 200
        assert (await target.renovar(tokens["refresh_token"])).status_code == 200


WRITE = {"inventario": ("POST", "/reservas/lote"), "productos": ("GET", "/productos")}


async def answer(target: Target, callee: str, token: str) -> int:
    method, path = WRITE[callee]
    body = None if method == "GET" else {"operaciones": [{"pedido_id": NOBODY, "operacion": "liberar"}]}
    return (await target.clients[callee].request(method, path, json=body, headers=bearer(token))).status_code


NOBODY = "019b796d-d600-7000-8000-000000000001"


class TestServiceToken:
    async def test_opens_what_it_is_meant_for(self, target: Target, forger: Forger) -> None:
        """What all the others differ from by one thing."""
        assert await answer(target, "inventario", forger.service_token("pedidos", "inventario")) == 200
        assert await answer(target, "productos", forger.service_token("pedidos", "productos")) == 200
        assert await answer(target, "productos", forger.service_token("inventario", "productos")) == 200

    @pytest.mark.parametrize(
        "audience",
        [
            "productos",
            "pedidos",
            "comanda",
            "Inventario",
            "inventario ",
            "http://inventario",
            "*",
            "",
            None,
            [],
            ["inventario", "productos"],
            ["productos", "inventario"],
            ["inventario", "inventario"],
            {"inventario": 1},
        ],
        ids=repr,
    )
    async def test_replayed_at_another_service(self, target: Target, forger: Forger, audience: Any) -> None:
        await refused(target, forger.service_token("pedidos", audience), "inventario")

    @pytest.mark.parametrize("life", [61, 900, YEAR])
    async def test_that_lives_too_long(self, target: Target, forger: Forger, life: int) -> None:
        await refused(target, forger.service_token("pedidos", "inventario", exp=target.now + life), "inventario")

    async def test_that_hides_its_life_in_the_past(self, target: Target, forger: Forger) -> None:
        token = forger.service_token("pedidos", "inventario", iat=target.now - 100, exp=target.now + 60)
        await refused(target, token, "inventario")

    async def test_that_has_expired(self, target: Target, forger: Forger) -> None:
        token = forger.service_token("pedidos", "inventario", iat=target.now - 90, exp=target.now - 30)
        await refused(target, token, "inventario")

    async def test_with_an_issuer_swapped(self, target: Target, forger: Forger) -> None:
        """Each issuer is believed by its own key alone."""
        for key in ("inventario", "operador"):
            claims = {"key": target.service_key(key), "iss": "pedidos", "sub": "pedidos"}
            await refused(target, forger.service_token("pedidos", "inventario", **claims), "inventario")
        swapped = forger.service_token("pedidos", "inventario", iss="operador", sub="operador")
        await refused(target, swapped, "inventario")

    @pytest.mark.parametrize("subject", ["operador", "inventario", "", None, ..., "pedidos "], ids=repr)
    async def test_that_speaks_for_another(self, target: Target, forger: Forger, subject: Any) -> None:
        await refused(target, forger.service_token("pedidos", "inventario", sub=subject), "inventario")

    async def test_of_a_service_that_nobody_knows(self, target: Target, forger: Forger) -> None:
        for name in ("productos", "auth", "evil", "../pedidos", "Pedidos"):
            await refused(target, forger.service_token(name, "inventario", key=OTHER_KEY), "inventario")

    async def test_asks_for_more_in_vain(self, target: Target, forger: Forger) -> None:
        """What a service may do is written down where it calls; a scope that it brings along counts for nothing."""
        token = forger.service_token("operador", "inventario", scope="reservas:escribir inventario:escribir")
        assert await answer(target, "inventario", token) == 403

    @pytest.mark.parametrize("typ", ["at+jwt", "JWT", "", None], ids=repr)
    async def test_of_another_type(self, target: Target, forger: Forger, typ: Any) -> None:
        await refused(target, forger.service_token("pedidos", "inventario", typ=typ), "inventario")


class TestCrossing:
    async def test_a_users_token_as_a_services(self, target: Target, forger: Forger) -> None:
        header = {"typ": "svc+jwt"}
        for changes in ({}, {"iss": "pedidos", "sub": "pedidos", "aud": "inventario", "exp": target.now + 60}):
            await refused(target, forger.token(header=header, **changes))
        await refused(target, forger.token(iss="pedidos", sub="pedidos"))

    async def test_a_services_token_as_a_users(self, target: Target, forger: Forger) -> None:
        claims = {"scope": "usuarios:gestionar", "client_id": "comanda-web"}
        for typ in ("at+jwt", "svc+jwt"):
            for issuer in ({}, {"iss": ISSUER, "sub": target.jefa}):
                await refused(target, forger.service_token("pedidos", "comanda", typ=typ, **claims, **issuer))

    async def test_a_user_writes_no_reservations(self, target: Target, forger: Forger) -> None:
        """No role gives `reservas:escribir`: not even a token that auth signed by mistake for an administrator."""
        for headers in (target.admin, target.cliente(target.ana)):
            response = await target.system.inventario.post("/reservas/lote", json={}, headers=headers)
            assert (response.status_code, problem(response)) == (403, "no-autorizado")
