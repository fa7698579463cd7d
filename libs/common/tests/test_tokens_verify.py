"""Which well-formed tokens are accepted: claims, times, trust; and how long a verdict is remembered."""

import json
import math
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from token_forging import (
    AUDIENCE,
    AUTH,
    OTHER_KEY,
    SERVICE_KEY,
    USER_KEY,
    Claims,
    FakeClock,
    forge,
    jwks,
    refused,
    segment,
    service_claims,
    user_claims,
    user_header,
)

from comanda.common.tokens import FileKeys, KeySource, Principal, StaticKeys, TrustedIssuer, Verifier, user_issuer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestVerify:
    async def test_user(self, verifier: Verifier, clock: FakeClock) -> None:
        claims = user_claims(clock)
        principal = await verifier.verify(USER_KEY.sign(claims, "at+jwt"))
        scopes = frozenset({"pedidos:crear", "pedidos:propios"})
        assert principal == Principal(AUTH, "ana", scopes, "comanda-web", claims["jti"], claims["exp"], False)
        assert principal.has("pedidos:crear")
        assert not principal.has("pedidos")

    async def test_client_without_a_user(self, verifier: Verifier, clock: FakeClock) -> None:
        assert (await verifier.verify(USER_KEY.sign(user_claims(clock, client_id="ana"), "at+jwt"))).is_client
        assert not (await verifier.verify(USER_KEY.sign(user_claims(clock), "at+jwt"))).is_client
        assert not (await verifier.verify(USER_KEY.sign(user_claims(clock, client_id=None), "at+jwt"))).is_client
        own = service_claims(clock, client_id="pedidos")
        assert not (await verifier.verify(SERVICE_KEY.sign(own, "svc+jwt"))).is_client

    async def test_service_gets_its_fixed_scopes(self, verifier: Verifier, clock: FakeClock) -> None:
        token = SERVICE_KEY.sign(service_claims(clock, scope="admin", aud=["inventario"]), "svc+jwt")
        principal = await verifier.verify(token)
        assert principal.is_service
        assert principal.subject == "pedidos"
        assert principal.scopes == {"reservas:escribir"}

    @pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "Application/At+Jwt"])
    async def test_spellings_of_typ(self, verifier: Verifier, clock: FakeClock, typ: str) -> None:
        assert await verifier.verify(USER_KEY.sign(user_claims(clock), typ))

    @pytest.mark.parametrize("scope", [None, "", " "])
    async def test_no_scope(self, verifier: Verifier, clock: FakeClock, scope: str | None) -> None:
        principal = await verifier.verify(USER_KEY.sign(user_claims(clock, scope=scope), "at+jwt"))
        assert principal.scopes == frozenset()

    async def test_audience_among_several(self, verifier: Verifier, clock: FakeClock) -> None:
        assert await verifier.verify(USER_KEY.sign(user_claims(clock, aud=["otra", AUDIENCE]), "at+jwt"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"exp": None},
            {"exp": "9999999999"},
            {"exp": True},
            {"exp": math.nan},
            {"exp": math.inf},
            {"exp": 10**400},
            {"exp": -1},
            {"iat": None},
            {"iat": False},
            {"iat": "0"},
            {"nbf": "0"},
            {"nbf": []},
            {"sub": None},
            {"sub": ""},
            {"sub": 7},
            {"jti": None},
            {"jti": ""},
            {"jti": 7},
            {"iss": None},
            {"iss": ["http://auth.test"]},
            {"iss": "http://auth.test/"},
            {"iss": "http://evil.test"},
            {"aud": None},
            {"aud": "otra"},
            {"aud": AUDIENCE + "x"},
            {"aud": []},
            {"aud": [AUDIENCE, 7]},
            {"aud": {AUDIENCE: 1}},
            {"scope": ["admin"]},
            {"scope": 7},
            {"client_id": 7},
        ],
        ids=repr,
    )
    async def test_bad_user_claims(self, verifier: Verifier, clock: FakeClock, changes: Claims) -> None:
        await refused(verifier, USER_KEY.sign(user_claims(clock, **changes), "at+jwt"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"sub": "ana"},
            {"iss": "productos", "sub": "productos"},
            {"aud": "productos"},
            {"aud": ["inventario", "productos"]},
            {"aud": []},
            {"iat": None},
        ],
        ids=repr,
    )
    async def test_bad_service_claims(self, verifier: Verifier, clock: FakeClock, changes: Claims) -> None:
        await refused(verifier, SERVICE_KEY.sign(service_claims(clock, **changes), "svc+jwt"))

    async def test_service_token_that_lives_too_long(self, verifier: Verifier, clock: FakeClock) -> None:
        claims = service_claims(clock, exp=clock.epoch + 61)
        await refused(verifier, SERVICE_KEY.sign(claims, "svc+jwt"))

    async def test_user_token_as_service_token(self, verifier: Verifier, clock: FakeClock) -> None:
        await refused(verifier, USER_KEY.sign(user_claims(clock), "svc+jwt"))
        await refused(verifier, USER_KEY.sign(service_claims(clock), "svc+jwt"))

    async def test_service_token_as_user_token(self, verifier: Verifier, clock: FakeClock) -> None:
        await refused(verifier, SERVICE_KEY.sign(service_claims(clock), "at+jwt"))
        await refused(verifier, SERVICE_KEY.sign(user_claims(clock), "at+jwt"))

    @pytest.mark.parametrize("typ", ["JWT", "", "jwt", "application/jwt", "at+jwt ", "application/application/at+jwt"])
    async def test_foreign_typ(self, verifier: Verifier, clock: FakeClock, typ: str) -> None:
        await refused(verifier, USER_KEY.sign(user_claims(clock), typ))

    async def test_key_of_another_issuer(self, verifier: Verifier, clock: FakeClock) -> None:
        header = user_header(kid=SERVICE_KEY.kid)
        await refused(verifier, forge(header, user_claims(clock), SERVICE_KEY))
        await refused(verifier, forge(user_header(), user_claims(clock), SERVICE_KEY))

    async def test_changed_payload(self, verifier: Verifier, clock: FakeClock) -> None:
        header, _, signature = USER_KEY.sign(user_claims(clock), "at+jwt").split(".")
        payload = segment(json.dumps(user_claims(clock, sub="eva")))
        await refused(verifier, f"{header}.{payload}.{signature}")

    async def test_detail_names_what_the_person_can_mend(self, verifier: Verifier, clock: FakeClock) -> None:
        token = USER_KEY.sign(user_claims(clock, exp=clock.epoch - 31), "at+jwt")
        assert await refused(verifier, token) == "El token ha caducado."
        token = USER_KEY.sign(user_claims(clock, aud="otra"), "at+jwt")
        assert await refused(verifier, token) == "El token no es para este servicio."


class TestVerifyTimes:
    async def test_leeway_after_expiry(self, verifier: Verifier, clock: FakeClock) -> None:
        token = USER_KEY.sign(user_claims(clock), "at+jwt")
        clock.seconds = 929
        assert await verifier.verify(token)

    async def test_expired(self, verifier: Verifier, clock: FakeClock) -> None:
        token = USER_KEY.sign(user_claims(clock), "at+jwt")
        clock.seconds = 930
        await refused(verifier, token)

    @pytest.mark.parametrize("claim", ["iat", "nbf"])
    async def test_from_the_future(self, verifier: Verifier, clock: FakeClock, claim: str) -> None:
        assert await verifier.verify(USER_KEY.sign(user_claims(clock, **{claim: clock.epoch + 30}), "at+jwt"))
        await refused(verifier, USER_KEY.sign(user_claims(clock, **{claim: clock.epoch + 31}), "at+jwt"))


class CountingKeys:
    def __init__(self, keys: KeySource) -> None:
        self.keys = keys
        self.asked = 0

    async def key(self, kid: str) -> ECKey | None:
        self.asked += 1
        return await self.keys.key(kid)

    def knows(self, kid: str) -> bool:
        return self.keys.knows(kid)


class TestRemember:
    async def test_second_time_checks_nothing(self, clock: FakeClock) -> None:
        keys = CountingKeys(StaticKeys(jwks(USER_KEY)))
        verifier = Verifier([user_issuer(AUTH, keys, AUDIENCE)], clock)
        token = USER_KEY.sign(user_claims(clock), "at+jwt")
        first = await verifier.verify(token)
        assert await verifier.verify("".join(token)) is first
        assert keys.asked == 1

    async def test_remembered_token_expires(self, verifier: Verifier, clock: FakeClock) -> None:
        token = USER_KEY.sign(user_claims(clock), "at+jwt")
        await verifier.verify(token)
        clock.seconds = 929
        await verifier.verify(token)
        clock.seconds = 930
        assert await refused(verifier, token) == "El token ha caducado."
        assert await refused(verifier, token) == "El token ha caducado."

    async def test_remembered_token_ends_with_its_key(self, clock: FakeClock, tmp_path: Path) -> None:
        path = tmp_path / "auth.jwks.json"
        path.write_text(json.dumps(jwks(USER_KEY, OTHER_KEY)))
        verifier = Verifier([user_issuer(AUTH, FileKeys(path, clock), AUDIENCE)], clock)
        token = USER_KEY.sign(user_claims(clock, exp=clock.epoch + 1_000_000), "at+jwt")
        other = OTHER_KEY.sign(user_claims(clock), "at+jwt")
        first = await verifier.verify(other)
        await verifier.verify(token)
        path.write_text(json.dumps(jwks(OTHER_KEY)))
        clock.seconds = 1
        assert await refused(verifier, token) == "No se conoce la clave con la que se firmó el token."
        assert await verifier.verify(other) is first

    async def test_least_recently_used_goes_first(self, clock: FakeClock) -> None:
        keys = CountingKeys(StaticKeys(jwks(USER_KEY)))
        verifier = Verifier([user_issuer(AUTH, keys, AUDIENCE)], clock, cache_entries=2)
        a, b, c = (USER_KEY.sign(user_claims(clock), "at+jwt") for _ in range(3))
        for token in (a, b, a, c):
            await verifier.verify(token)
        assert keys.asked == 3
        await verifier.verify(a)
        assert keys.asked == 3
        await verifier.verify(b)
        assert keys.asked == 4

    async def test_refusals_are_not_remembered(self, clock: FakeClock) -> None:
        keys = CountingKeys(StaticKeys(jwks(USER_KEY)))
        verifier = Verifier([user_issuer(AUTH, keys, AUDIENCE)], clock, cache_entries=1)
        good = USER_KEY.sign(user_claims(clock), "at+jwt")
        await verifier.verify(good)
        await refused(verifier, USER_KEY.sign(user_claims(clock, sub=""), "at+jwt"))
        await verifier.verify(good)
        assert keys.asked == 2


class TestTrust:
    def test_issuer_given_twice(self, clock: FakeClock) -> None:
        issuer = user_issuer(AUTH, StaticKeys(jwks(USER_KEY)), AUDIENCE)
        with pytest.raises(ValueError, match="twice"):
            Verifier([issuer, issuer], clock)

    def test_service_without_fixed_scopes(self) -> None:
        with pytest.raises(ValueError, match="scopes"):
            TrustedIssuer("pedidos", StaticKeys(jwks(SERVICE_KEY)), "service", "inventario", None)
