"""Tokens with hostile headers, and what is no token at all."""

import hashlib
import hmac
import json
import random
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey
from token_forging import (
    AUDIENCE,
    AUTH,
    OTHER_KEY,
    USER_KEY,
    FakeClock,
    forge,
    jwks,
    refused,
    segment,
    user_claims,
    user_header,
)

from comanda.common.tokens import FileKeys, Verifier, user_issuer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


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
