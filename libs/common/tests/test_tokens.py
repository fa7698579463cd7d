import asyncio
import base64
import hashlib
import hmac
import json
import math
import os
import random
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import ECKey, thumbprint
from joserfc.jws import JWSRegistry

from comanda.common.jwks import parse_key_set
from comanda.common.problems import NoAutenticado
from comanda.common.tokens import (
    FileKeys,
    InvalidKeySet,
    KeySource,
    Principal,
    ServiceSigner,
    SigningKey,
    StaticKeys,
    TrustedIssuer,
    UrlKeys,
    Verifier,
    key_source,
    service_issuer,
    user_issuer,
)

AUTH = "http://auth.test"
AUDIENCE = "comanda"
USER_KEY = SigningKey.generate()
SERVICE_KEY = SigningKey.generate()
OTHER_KEY = SigningKey.generate()
Claims = dict[str, Any]


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def new_id(self) -> UUID:
        return uuid4()

    @property
    def epoch(self) -> int:
        return int(self.now().timestamp())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def jwks(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [key.public_jwk() for key in keys]}


@pytest.fixture
def verifier(clock: FakeClock) -> Verifier:
    users = user_issuer(AUTH, StaticKeys(jwks(USER_KEY)), AUDIENCE)
    pedidos = service_issuer("pedidos", StaticKeys(jwks(SERVICE_KEY)), "inventario", ["reservas:escribir"])
    return Verifier([users, pedidos], clock)


def user_claims(clock: FakeClock, **changes: Any) -> Claims:
    claims = {
        "iss": AUTH,
        "sub": "ana",
        "aud": AUDIENCE,
        "iat": clock.epoch,
        "exp": clock.epoch + 900,
        "jti": str(uuid4()),
        "client_id": "comanda-web",
        "scope": "pedidos:crear pedidos:propios",
    }
    return without_none(claims | changes)


def service_claims(clock: FakeClock, **changes: Any) -> Claims:
    claims = {
        "iss": "pedidos",
        "sub": "pedidos",
        "aud": "inventario",
        "iat": clock.epoch,
        "exp": clock.epoch + 60,
        "jti": str(uuid4()),
    }
    return without_none(claims | changes)


def without_none(claims: Claims) -> Claims:
    return {name: value for name, value in claims.items() if value is not None}


def segment(value: bytes | str) -> str:
    content = value if isinstance(value, bytes) else value.encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forge(header: Any, claims: Any, key: SigningKey = USER_KEY) -> str:
    """A token with any header and payload, correctly signed with ES256."""
    header_text = header if isinstance(header, bytes) else json.dumps(header)
    payload = claims if isinstance(claims, bytes) else json.dumps(claims)
    signed = f"{segment(header_text)}.{segment(payload)}"
    return f"{signed}.{segment(es256(key, signed.encode()))}"


def es256(key: SigningKey, message: bytes) -> bytes:
    return JWSRegistry.algorithms["ES256"].sign(message, ECKey.import_key(key.to_pem()))


def user_header(**changes: Any) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "at+jwt", "kid": USER_KEY.kid} | changes


async def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(NoAutenticado) as raised:
        await verifier.verify(token)
    assert raised.value.status_code == 401
    detail = str(raised.value.detail)
    assert detail.startswith(("El token", "El emisor", "No se conoce"))
    return detail


class TestVerify:
    async def test_user(self, verifier: Verifier, clock: FakeClock) -> None:
        claims = user_claims(clock)
        principal = await verifier.verify(USER_KEY.sign(claims, "at+jwt"))
        scopes = frozenset({"pedidos:crear", "pedidos:propios"})
        assert principal == Principal(AUTH, "ana", scopes, "comanda-web", claims["jti"], claims["exp"], False)
        assert principal.has("pedidos:crear")
        assert not principal.has("pedidos")

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


class TestVerifyHeader:
    @pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
    async def test_alg_none(self, verifier: Verifier, clock: FakeClock, alg: str) -> None:
        unsigned = f"{segment(json.dumps(user_header(alg=alg)))}.{segment(json.dumps(user_claims(clock)))}"
        await refused(verifier, f"{unsigned}.")
        await refused(verifier, f"{unsigned}.{segment(bytes(64))}")

    @pytest.mark.parametrize("secret", ["pem", "der", "jwk"])
    async def test_public_key_as_hmac_secret(self, verifier: Verifier, clock: FakeClock, secret: str) -> None:
        public = ECKey.import_key(USER_KEY.to_pem()).public_key
        secrets = {
            "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "jwk": json.dumps(USER_KEY.public_jwk()).encode(),
        }
        signed = f"{segment(json.dumps(user_header(alg='HS256')))}.{segment(json.dumps(user_claims(clock)))}"
        mac = hmac.new(secrets[secret], signed.encode(), hashlib.sha256).digest()
        await refused(verifier, f"{signed}.{segment(mac)}")

    @pytest.mark.parametrize("alg", ["ES384", "RS256", "es256", "EdDSA", 7, None, ["ES256"]])
    async def test_other_alg(self, verifier: Verifier, clock: FakeClock, alg: object) -> None:
        await refused(verifier, forge(user_header(alg=alg), user_claims(clock)))

    @pytest.mark.parametrize(
        "extra",
        [
            {"jku": "http://evil.test/jwks.json"},
            {"jwk": OTHER_KEY.public_jwk()},
            {"jwk": USER_KEY.public_jwk()},
            {"x5u": "http://evil.test/cert.pem"},
            {"x5c": ["MIIB"]},
            {"crit": ["exp"]},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"crit": 7},
            {"b64": True},
            {"b64": False},
            {"cty": 7},
            {"unheard-of": 1},
        ],
        ids="-".join,
    )
    async def test_header_that_brings_keys_or_rules(
        self, verifier: Verifier, clock: FakeClock, extra: dict[str, Any]
    ) -> None:
        await refused(verifier, forge(user_header(**extra), user_claims(clock)))

    async def test_embedded_key_is_not_followed(self, verifier: Verifier, clock: FakeClock) -> None:
        header = user_header(kid=OTHER_KEY.kid, jwk=OTHER_KEY.public_jwk())
        await refused(verifier, forge(header, user_claims(clock), OTHER_KEY))

    @pytest.mark.parametrize("kid", [None, 7, "", "../../x", "../../../dev/null", "k" * 201, ["a"], {"a": 1}, "\0"])
    async def test_bad_kid(self, verifier: Verifier, clock: FakeClock, kid: object) -> None:
        await refused(verifier, forge(user_header(kid=kid), user_claims(clock)))

    async def test_kid_is_no_path(self, tmp_path: Path, clock: FakeClock) -> None:
        (tmp_path / "x").write_text(json.dumps(jwks(OTHER_KEY)))
        (tmp_path / "a" / "b").mkdir(parents=True)
        source = FileKeys(tmp_path / "a" / "b" / "jwks.json", clock)
        verifier = Verifier([user_issuer(AUTH, source, AUDIENCE)], clock)
        await refused(verifier, forge(user_header(kid="../../x"), user_claims(clock), OTHER_KEY))


class TestVerifyShape:
    @pytest.mark.parametrize(
        "token", ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", "ñ.ñ.ñ", "\ud800.a.b", "=.=.=", "\0.\0.\0", " "]
    )
    async def test_not_a_token(self, verifier: Verifier, token: str) -> None:
        await refused(verifier, token)

    @pytest.mark.parametrize("header", [b"[]", b'"alg"', b"7", b"null", b'["alg","b64"]', b"{", b"\xff", b"[" * 2000])
    async def test_header_is_no_object(self, verifier: Verifier, clock: FakeClock, header: bytes) -> None:
        await refused(verifier, forge(header, user_claims(clock)))

    @pytest.mark.parametrize("payload", [b"", b"[]", b'"iss"', b"7", b"null", b"{", b"\xff\xfe", b"[" * 2000])
    async def test_payload_is_no_object(self, verifier: Verifier, payload: bytes) -> None:
        await refused(verifier, forge(user_header(), payload))

    async def test_too_long(self, verifier: Verifier, clock: FakeClock) -> None:
        fits = USER_KEY.sign(user_claims(clock, sub="a" * 2000), "at+jwt")
        too_long = USER_KEY.sign(user_claims(clock, sub="a" * 3000), "at+jwt")
        assert len(fits) < 4096 < len(too_long)
        assert await verifier.verify(fits)
        await refused(verifier, too_long)

    async def test_surroundings(self, verifier: Verifier, clock: FakeClock) -> None:
        token = USER_KEY.sign(user_claims(clock), "at+jwt")
        for changed in (f" {token}", f"{token} ", f"{token}\n", f"{token}=", f"{token}A", token[:-1], f"{token}."):
            await refused(verifier, changed)

    async def test_any_damage(self, verifier: Verifier, clock: FakeClock) -> None:
        token = USER_KEY.sign(user_claims(clock), "at+jwt")
        dice = random.Random(7)  # noqa: S311  -- repeatable damage, no secret
        for _ in range(300):
            place = dice.randrange(len(token))
            letter = dice.choice([chr(dice.randrange(128)), "", ".", "_"])
            changed = token[:place] + letter + token[place + 1 :]
            if changed != token:
                await refused(verifier, changed)


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


class TestServiceSigner:
    async def test_callee_accepts_it(self, verifier: Verifier, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        assert (await verifier.verify(signer.token("inventario"))).subject == "pedidos"
        await refused(verifier, signer.token("productos"))

    def test_reused_until_half_its_life(self, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        first = signer.token("inventario")
        clock.seconds = 30
        assert signer.token("inventario") == first
        assert signer.token("productos") != first
        clock.seconds = 31
        assert signer.token("inventario") != first

    def test_clock_set_back(self, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        first = signer.token("inventario")
        clock.seconds = -3600
        assert signer.token("inventario") != first

    def test_bounded(self, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        first = signer.token("a0")
        for number in range(1, ServiceSigner.MAX_AUDIENCES + 1):
            signer.token(f"a{number}")
        assert signer.token("a0") != first


class TestSigningKey:
    def test_public_half(self) -> None:
        jwk = USER_KEY.public_jwk()
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"]) == ("EC", "P-256", "sig", "ES256")
        assert jwk["kid"] == USER_KEY.kid == thumbprint({name: jwk[name] for name in ("kty", "crv", "x", "y")})

    def test_pem_and_back(self) -> None:
        assert SigningKey.from_pem(USER_KEY.to_pem()).public_jwk() == USER_KEY.public_jwk()

    def test_other_pems(self) -> None:
        p384 = generate_private_key(SECP384R1())
        public = ECKey.import_key(USER_KEY.to_pem()).as_pem(private=False)
        for pem in (
            b"",
            b"secret",
            public,
            Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            p384.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            ECKey.import_key(USER_KEY.to_pem()).as_pem(private=True, password="x"),
        ):
            with pytest.raises(ValueError, match=r"ES256|PEM"):
                SigningKey.from_pem(pem)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestLoadOrCreate:
    def test_made_once_and_private(self, tmp_path: Path) -> None:
        path = tmp_path / "claves" / "pedidos.pem"
        made = SigningKey.load_or_create(path)
        assert SigningKey.load_or_create(path).kid == made.kid
        assert mode(path) == 0o600
        assert mode(path.parent) == 0o700
        assert mode(path.parent / "pedidos.jwks.json") == 0o644
        assert json.loads((path.parent / "pedidos.jwks.json").read_text()) == jwks(made)
        assert {file.name for file in path.parent.iterdir()} == {"pedidos.pem", "pedidos.jwks.json"}

    def test_public_set_follows_the_key(self, tmp_path: Path) -> None:
        path = tmp_path / "pedidos.pem"
        SigningKey.load_or_create(path)
        path.write_bytes(OTHER_KEY.to_pem())
        SigningKey.load_or_create(path)
        assert json.loads((tmp_path / "pedidos.jwks.json").read_text()) == jwks(OTHER_KEY)

    def test_damaged_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "pedidos.pem"
        path.write_bytes(b"")
        with pytest.raises(ValueError, match=r"pedidos\.pem"):
            SigningKey.load_or_create(path)

    def test_public_set_cannot_be_written(self, tmp_path: Path) -> None:
        path = tmp_path / "pedidos.pem"
        path.write_bytes(OTHER_KEY.to_pem())
        (tmp_path / "pedidos.jwks.json").mkdir()
        assert SigningKey.load_or_create(path).kid == OTHER_KEY.kid

    def test_processes_that_start_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "claves" / "pedidos.pem"
        program = (
            "import sys, pathlib; from comanda.common.tokens import SigningKey\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "print(SigningKey.load_or_create(pathlib.Path(sys.argv[1])).kid)"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        kids = {process.communicate(timeout=20)[0].strip() for process in processes}
        assert kids == {SigningKey.load_or_create(path).kid}
        assert mode(path) == 0o600
        assert len(list(path.parent.iterdir())) == 2

    def test_loser_of_the_race_reads_the_winners(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "pedidos.pem"
        link = os.link

        def somebody_was_first(source: Path, target: Path) -> None:
            target.write_bytes(OTHER_KEY.to_pem())
            link(source, target)

        monkeypatch.setattr(os, "link", somebody_was_first)
        assert SigningKey.load_or_create(path).kid == OTHER_KEY.kid


class TestParseKeySet:
    def test_only_what_verifies_es256(self) -> None:
        good = USER_KEY.public_jwk()
        others: list[dict[str, Any]] = [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"},
            {"kty": "ML-DSA", "kid": "future"},
            {},
            good | {"kid": "enc", "use": "enc"},
            good | {"kid": "es384", "alg": "ES384"},
            good | {"kid": "p384", "crv": "P-384"},
            good | {"kid": "ops", "key_ops": ["sign"]},
            good | {"kid": "off-curve", "x": good["y"]},
            good | {"kid": "no-base64", "x": "ñ="},
            good | {"kid": "no-x", "x": 7},
            good | {"kid": "empty-x", "x": ""},
            good | {"kid": ""},
            good | {"kid": "k" * 201},
        ]
        assert list(parse_key_set({"keys": [*others, good]})) == [USER_KEY.kid]

    def test_private_part_is_dropped(self) -> None:
        private = ECKey.import_key(USER_KEY.to_pem()).as_dict(private=True)
        keys = parse_key_set({"keys": [private | {"kid": "a"}]})
        assert not keys["a"].is_private

    @pytest.mark.parametrize(
        "document",
        [
            None,
            [],
            {},
            {"keys": None},
            {"keys": {}},
            {"keys": []},
            {"keys": ["a"]},
            {"keys": [{"kty": "EC"}]},
            {"keys": [USER_KEY.public_jwk()] * 21},
            {"keys": [USER_KEY.public_jwk()], "x": "a" * 65_536},
            {"keys": [USER_KEY.public_jwk()], "x": object()},
        ],
    )
    def test_no_key_set(self, document: object) -> None:
        with pytest.raises(InvalidKeySet):
            parse_key_set(document)


class TestFileKeys:
    async def test_file_that_comes_later(self, tmp_path: Path, clock: FakeClock) -> None:
        path = tmp_path / "pedidos.jwks.json"
        source = FileKeys(path, clock)
        assert await source.key(USER_KEY.kid) is None
        path.write_text(json.dumps(jwks(USER_KEY)))
        clock.seconds = 0.9
        assert await source.key(USER_KEY.kid) is None
        clock.seconds = 1
        assert await source.key(USER_KEY.kid) is not None

    async def test_new_content(self, tmp_path: Path, clock: FakeClock) -> None:
        path = tmp_path / "pedidos.jwks.json"
        path.write_text(json.dumps(jwks(USER_KEY)))
        source = FileKeys(path, clock)
        assert await source.key(USER_KEY.kid) is not None
        path.write_text(json.dumps(jwks(OTHER_KEY, SERVICE_KEY)))
        clock.seconds = 1
        assert await source.key(OTHER_KEY.kid) is not None
        assert await source.key(USER_KEY.kid) is None

    @pytest.mark.parametrize("content", ["", "{", "[]", "[" * 50_000, '{"keys": []}', " " * 70_000, "\udcff"])
    async def test_damaged_file_leaves_the_last_good_set(self, tmp_path: Path, clock: FakeClock, content: str) -> None:
        path = tmp_path / "pedidos.jwks.json"
        path.write_text(json.dumps(jwks(USER_KEY)))
        source = FileKeys(path, clock)
        await source.key(USER_KEY.kid)
        path.write_bytes(content.encode(errors="surrogateescape"))
        clock.seconds = 1
        assert await source.key(USER_KEY.kid) is not None

    async def test_removed_file_holds_no_keys(self, tmp_path: Path, clock: FakeClock) -> None:
        path = tmp_path / "pedidos.jwks.json"
        path.write_text(json.dumps(jwks(USER_KEY)))
        source = FileKeys(path, clock)
        await source.key(USER_KEY.kid)
        path.unlink()
        clock.seconds = 1
        assert await source.key(USER_KEY.kid) is None


class Issuer:
    """A loopback HTTP server with a key set."""

    url: str

    def __init__(self) -> None:
        self.body = json.dumps(jwks(USER_KEY)).encode()
        self.head = b"HTTP/1.1 200 OK"
        self.requests: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        await self.gate.wait()
        writer.write(self.head + b"\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(self.body))
        writer.write(self.body)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass  # the client hangs up on an answer that is too large


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/.well-known/jwks.json"
    async with server:
        yield issuer


class FakeFetch:
    def __init__(self, *keys: SigningKey) -> None:
        self.document: Any = jwks(*keys)
        self.calls = 0

    async def __call__(self, url: str) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


URL = "http://auth.test/.well-known/jwks.json"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class TestUrlKeysOverHttp:
    async def test_fifty_at_once_ask_once(self, issuer: Issuer, clock: FakeClock) -> None:
        verifier = Verifier([user_issuer(AUTH, UrlKeys(issuer.url, None, clock), AUDIENCE)], clock)
        tokens = [USER_KEY.sign(user_claims(clock), "at+jwt") for _ in range(50)]
        principals = await asyncio.gather(*map(verifier.verify, tokens))
        assert {principal.subject for principal in principals} == {"ana"}
        assert len(issuer.requests) == 1
        assert issuer.requests[0].startswith(b"GET /.well-known/jwks.json ")

    async def test_caller_that_gives_up_does_not_stop_the_others(self, issuer: Issuer, clock: FakeClock) -> None:
        issuer.gate.clear()
        source = UrlKeys(issuer.url, None, clock)
        first, second = (asyncio.create_task(source.key(USER_KEY.kid)) for _ in range(2))
        await settle()
        first.cancel()
        issuer.gate.set()
        assert await second is not None
        assert len(issuer.requests) == 1

    @pytest.mark.parametrize(
        ("head", "body"),
        [
            (b"HTTP/1.1 500 Internal Server Error", None),
            (b"HTTP/1.1 404 Not Found", None),
            (b"HTTP/1.1 302 Found\r\nlocation: /.well-known/jwks.json", None),
            (b"HTTP/1.1 200 OK", b"<html>"),
            (b"HTTP/1.1 200 OK", b"[]"),
            (b"HTTP/1.1 200 OK", b"{" + b" " * 3_000_000 + b"}"),
            (b"nonsense", None),
        ],
    )
    async def test_no_good_answer(self, issuer: Issuer, clock: FakeClock, head: bytes, body: bytes | None) -> None:
        issuer.head = head
        issuer.body = issuer.body if body is None else body
        assert await UrlKeys(issuer.url, None, clock).key(USER_KEY.kid) is None
        assert len(issuer.requests) == 1

    async def test_environment_proxy_is_ignored(
        self, issuer: Issuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        assert await UrlKeys(issuer.url, None, clock).key(USER_KEY.kid) is not None


class TestUrlKeys:
    async def test_unknown_kid_asks_at_most_every_ten_seconds(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        for number in range(100):
            assert await source.key(f"invented-{number}") is None
        assert fetch.calls == 1
        clock.seconds = 9.9
        await source.key("invented")
        assert fetch.calls == 1
        clock.seconds = 10
        await source.key("invented")
        assert fetch.calls == 2

    async def test_failures_are_bounded_too(self, clock: FakeClock) -> None:
        fetch = FakeFetch()
        fetch.document = OSError("away")
        source = UrlKeys(URL, None, clock, fetch)
        for _ in range(100):
            assert await source.key(USER_KEY.kid) is None
        assert fetch.calls == 1
        fetch.document = jwks(USER_KEY)
        clock.seconds = 10
        assert await source.key(USER_KEY.kid) is not None

    async def test_rotation(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        await source.key(USER_KEY.kid)
        fetch.document = jwks(OTHER_KEY)
        clock.seconds = 10
        assert await source.key(OTHER_KEY.kid) is not None
        assert await source.key(USER_KEY.kid) is None

    async def test_known_key_does_not_wait_for_the_refresh(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        await source.key(USER_KEY.kid)
        fetch.document = jwks(OTHER_KEY)
        clock.seconds = 299
        assert await source.key(USER_KEY.kid) is not None
        await settle()
        assert fetch.calls == 1
        clock.seconds = 300
        assert await source.key(USER_KEY.kid) is not None
        assert await source.key(USER_KEY.kid) is not None
        await settle()
        assert fetch.calls == 2
        assert await source.key(USER_KEY.kid) is None

    @pytest.mark.parametrize(
        "document",
        [
            OSError("away"),
            TimeoutError(),
            {},
            {"keys": []},
            {"keys": "no"},
            {"keys": [USER_KEY.public_jwk()] * 21},
            {"keys": [OTHER_KEY.public_jwk()], "x": "a" * 70_000},
            None,
        ],
        ids=lambda document: repr(document)[:30],
    )
    async def test_bad_set_leaves_the_last_good_one(self, tmp_path: Path, clock: FakeClock, document: object) -> None:
        cache = tmp_path / "auth.json"
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, cache, clock, fetch)
        await source.key(USER_KEY.kid)
        before = cache.read_bytes()
        fetch.document = document
        clock.seconds = 300
        await source.key(USER_KEY.kid)
        await settle()
        assert fetch.calls == 2
        assert await source.key(USER_KEY.kid) is not None
        assert cache.read_bytes() == before

    async def test_restart_with_auth_down(self, tmp_path: Path, clock: FakeClock) -> None:
        cache = tmp_path / "jwks" / "auth.json"
        await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY)).key(USER_KEY.kid)
        assert mode(cache) == 0o600
        down = FakeFetch()
        down.document = OSError("away")
        source = UrlKeys(URL, cache, clock, down)
        verifier = Verifier([user_issuer(AUTH, source, AUDIENCE)], clock)
        assert (await verifier.verify(USER_KEY.sign(user_claims(clock), "at+jwt"))).subject == "ana"
        await settle()
        assert down.calls == 1
        assert await source.key(USER_KEY.kid) is not None

    async def test_cache_of_another_url(self, tmp_path: Path, clock: FakeClock) -> None:
        cache = tmp_path / "auth.json"
        await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY)).key(USER_KEY.kid)
        other = FakeFetch(OTHER_KEY)
        assert await UrlKeys("http://elsewhere.test/jwks", cache, clock, other).key(USER_KEY.kid) is None

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b" " * 70_000])
    async def test_damaged_cache(self, tmp_path: Path, clock: FakeClock, content: bytes) -> None:
        cache = tmp_path / "auth.json"
        cache.write_bytes(content)
        assert await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY)).key(USER_KEY.kid) is not None
        down = FakeFetch()
        assert await UrlKeys(URL, cache, clock, down).key(USER_KEY.kid) is not None
        await settle()

    async def test_cache_that_cannot_be_written(self, tmp_path: Path, clock: FakeClock) -> None:
        (tmp_path / "file").write_text("")
        source = UrlKeys(URL, tmp_path / "file" / "auth.json", clock, FakeFetch(USER_KEY))
        assert await source.key(USER_KEY.kid) is not None


class TestKeySource:
    @pytest.mark.parametrize(
        ("source", "kind"),
        [
            ("http://auth.test/jwks", UrlKeys),
            ("https://auth.test/jwks", UrlKeys),
            (json.dumps(jwks(USER_KEY)), StaticKeys),
            ("claves/pedidos.jwks.json", FileKeys),
        ],
    )
    def test_by_its_form(self, clock: FakeClock, source: str, kind: Callable[..., KeySource]) -> None:
        assert type(key_source(source, cache=None, clock=clock)) is kind

    @pytest.mark.parametrize("source", ["", " ", "{", '{"keys": []}'])
    def test_unusable(self, clock: FakeClock, source: str) -> None:
        with pytest.raises(InvalidKeySet):
            key_source(source, cache=None, clock=clock)
