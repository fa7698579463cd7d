"""Tokens with a signature that auth never made: every one is refused by every service, in the words of no token."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from attack.forger import Forger
from attack.target import LECTURAS, SERVICES, Target, bearer, refused
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey, KeyParameters, OKPKey, RSAKey
from token_forging import OTHER_KEY, es256, segment

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGINES = ("sqlite",)

Attack = Callable[[Forger], str]


@pytest.fixture
def forger(target: Target) -> Forger:
    return Forger(target)


class TestGenuine:
    """What all the others differ from by one thing."""

    async def test_opens_every_service(self, target: Target, forger: Forger) -> None:
        for token in (forger.token(), target.user_key.sign(forger.claims(), "at+jwt")):
            for service in SERVICES:
                response = await target.clients[service].get(LECTURAS[service], headers=bearer(token))
                assert response.status_code == 200, (service, response.text)


def unsigned(alg: Any, signature: bytes = b"") -> Attack:
    return lambda forger: f"{forger.signing_input(alg=alg)}.{segment(signature)}"


def signed_well(alg: Any) -> Attack:
    return lambda forger: forger.token(header={"alg": alg})


def hmac_with_public_key(alg: str, form: str) -> Attack:
    def attack(forger: Forger) -> str:
        public: Any = ECKey.import_key(forger.key.to_pem()).public_key
        jwk = forger.key.public_jwk()
        secrets = {
            "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "pem-stripped": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
            "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "point": public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
            "jwk": json.dumps(jwk).encode(),
            "jwk-compact": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
            "x": jwk["x"].encode(),
            "kid": jwk["kid"].encode(),
            "empty": b"",
        }
        signed = forger.signing_input(alg=alg)
        digest = hashlib.sha512 if alg == "HS512" else hashlib.sha256
        return f"{signed}.{segment(hmac.new(secrets[form], signed.encode(), digest).digest())}"

    return attack


def by_own_key(alg: str) -> Attack:
    """A right signature of another algorithm, by a key of the attacker, who takes the `kid` of auth's."""

    def attack(forger: Forger) -> str:
        named: KeyParameters = {"kid": forger.key.kid}
        keys: dict[str, Any] = {
            "RS256": lambda: RSAKey.generate_key(2048, named),
            "PS256": lambda: RSAKey.generate_key(2048, named),
            "ES256": lambda: ECKey.generate_key("P-256", named),
            "ES384": lambda: ECKey.generate_key("P-384", named),
            "ES512": lambda: ECKey.generate_key("P-521", named),
            "ES256K": lambda: ECKey.generate_key("secp256k1", named),
            "Ed25519": lambda: OKPKey.generate_key("Ed25519", named),
        }
        payload = json.dumps(forger.claims())
        return jws.serialize_compact(forger.header(alg=alg), payload, keys[alg](), algorithms=[alg])

    return attack


ALGORITHMS: dict[str, Attack] = {
    **{f"none-{alg!r}": unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", " none", "none ", "", None)},
    "none-with-a-signature": unsigned("none", bytes(64)),
    **{
        f"{alg}-with-{form}": hmac_with_public_key(alg, form)
        for alg in ("HS256", "HS512")
        for form in ("pem", "pem-stripped", "der", "point", "jwk", "jwk-compact", "x", "kid", "empty")
    },
    **{
        f"{alg}-by-own-key": by_own_key(alg)
        for alg in ("RS256", "PS256", "ES256", "ES384", "ES512", "ES256K", "Ed25519")
    },
    **{
        f"alg-{alg!r}": signed_well(alg)
        for alg in ("es256", "ES256 ", "ES384", "HS256", "RS256", ["ES256"], {"ES256": 1}, True, 0, "ES256\0")
    },
    "alg-missing": lambda forger: forger.token(header={"alg": ...}),
    "alg-given-twice": lambda forger: forger.sign(
        json.dumps(forger.header()).replace('"alg": "ES256"', '"alg": "ES256", "alg": "none"')
    ),
}


@pytest.mark.parametrize("name", ALGORITHMS)
class TestAlgorithm:
    async def test_is_not_the_tokens_to_choose(self, target: Target, forger: Forger, name: str) -> None:
        await refused(target, ALGORITHMS[name](forger))


FOREIGN_JWK = OTHER_KEY.public_jwk()
JWKS_URL = "http://127.0.0.1:9/jwks.json"
HEADERS: dict[str, dict[str, Any]] = {
    "jku": {"jku": JWKS_URL},
    "jku-file": {"jku": "file:///etc/passwd"},
    "jwk": {"jwk": FOREIGN_JWK},
    "jwk-with-its-kid": {"jwk": FOREIGN_JWK, "kid": OTHER_KEY.kid},
    "jwk-with-our-kid": {"jwk": FOREIGN_JWK | {"kid": "ours"}},
    "x5u": {"x5u": "http://127.0.0.1:9/cert.pem"},
    "x5c": {"x5c": ["MIIB"]},
    "x5t": {"x5t": "AAAA"},
    "x5t-s256": {"x5t#S256": "AAAA"},
    "crit": {"crit": ["exp"]},
    "crit-empty": {"crit": []},
    "crit-unknown": {"crit": ["http://evil.test/"], "http://evil.test/": True},
    "b64-false": {"b64": False, "crit": ["b64"]},
    "b64-without-crit": {"b64": False},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "unknown": {"admin": True},
}


@pytest.mark.parametrize("name", HEADERS)
class TestHeader:
    """Even with auth's own signature; with the attacker's it is the key which is followed or not."""

    async def test_brings_neither_keys_nor_rules(self, target: Target, forger: Forger, name: str) -> None:
        if not HEADERS[name].keys() <= {"x5t", "x5t#S256"}:  # a thumbprint of our key would be harmless
            await refused(target, forger.token(header=HEADERS[name]))
        await refused(target, forger.token(header=HEADERS[name], key=OTHER_KEY))


KIDS: list[Any] = [
    ...,
    None,
    "",
    " ",
    "*",
    "0",
    "../../etc/passwd",
    "../../../../../../dev/null",
    "/etc/passwd",
    "/dev/null",
    "file:///etc/passwd",
    "http://127.0.0.1:9/jwks.json",
    "' OR '1'='1",
    "x' UNION SELECT 'AAAA' -- ",
    "'; DROP TABLE claves; --",
    "$(id)",
    "|id",
    "\0",
    "a\0b",
    "k" * 201,
    "k" * 10_000,
    7,
    True,
    ["a"],
    {"a": 1},
    {"$ne": None},
]


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: repr(kid)[:40])
class TestKid:
    async def test_names_a_key_of_the_issuer_or_nothing(self, target: Target, forger: Forger, kid: Any) -> None:
        await refused(target, forger.token(header={"kid": kid}))
        empty_secret = hmac.new(b"", forger.signing_input(kid=kid, alg="HS256").encode(), hashlib.sha256).digest()
        await refused(target, f"{forger.signing_input(kid=kid, alg='HS256')}.{segment(empty_secret)}")


class TestKidOfAnother:
    async def test_the_keys_of_services_sign_no_users(self, target: Target, forger: Forger) -> None:
        for name in ("pedidos", "inventario", "operador"):
            await refused(
                target, forger.token(header={"kid": target.service_key(name).kid}, key=target.service_key(name))
            )
            await refused(target, forger.token(key=target.service_key(name)))


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256."""
ZERO, ONE, N = bytes(32), (1).to_bytes(32, "big"), ORDER.to_bytes(32, "big")


def with_signature(change: Callable[[bytes], bytes]) -> Attack:
    def attack(forger: Forger) -> str:
        signed = forger.signing_input()
        return f"{signed}.{segment(change(es256(forger.key, signed.encode())))}"

    return attack


def fixed(signature: bytes) -> Attack:
    return lambda forger: f"{forger.signing_input()}.{segment(signature)}"


def with_text(change: Callable[[str], str]) -> Attack:
    return lambda forger: change(forger.token())


def der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def of_somebody_else(forger: Forger) -> str:
    header, _, signature = forger.token().split(".")
    return (
        f"{header}.{segment(json.dumps(forger.claims(sub=forger.target.jefa, scope='usuarios:gestionar')))}.{signature}"
    )


def general_json(forger: Forger) -> str:
    header, payload, signature = forger.token().split(".")
    return json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})


def flattened_json(forger: Forger) -> str:
    header, payload, signature = forger.token().split(".")
    return json.dumps({"payload": payload, "protected": header, "signature": signature})


def nested(forger: Forger) -> str:
    return forger.sign(json.dumps(forger.header(cty="JWT")), forger.token())


SIGNATURES: dict[str, Attack] = {
    "none": with_text(lambda token: token.rpartition(".")[0] + "."),
    "no-third-part": with_text(lambda token: token.rpartition(".")[0]),
    "one-byte-short": with_signature(lambda raw: raw[:-1]),
    "half": with_signature(lambda raw: raw[:32]),
    "one-byte-more": with_signature(lambda raw: raw + b"\0"),
    "twice": with_signature(lambda raw: raw + raw),
    "r-and-s-swapped": with_signature(lambda raw: raw[32:] + raw[:32]),
    "psychic": fixed(ZERO + ZERO),
    "r-zero": with_signature(lambda raw: ZERO + raw[32:]),
    "s-zero": with_signature(lambda raw: raw[:32] + ZERO),
    "r-order": with_signature(lambda raw: N + raw[32:]),
    "s-order": with_signature(lambda raw: raw[:32] + N),
    "both-order": fixed(N + N),
    "both-one": fixed(ONE + ONE),
    "all-ones": fixed(b"\xff" * 64),
    "der": with_signature(der),
    "der-of-zero": fixed(bytes.fromhex("3006020100020100")),
    "of-somebody-else": of_somebody_else,
    "general-json": general_json,
    "flattened-json": flattened_json,
    "nested": nested,
    "encrypted-shape": with_text(lambda token: f"{token}.AAAA.AAAA"),
    "two-signatures": with_text(lambda token: f"{token}.{token.rpartition('.')[2]}"),
    "padded": with_text(lambda token: f"{token}=="),
    "padded-inside": with_text(lambda token: token.replace(".", "=.", 1)),
    "newline-inside": with_text(lambda token: token[:20] + "\n" + token[20:]),
    "space-inside": with_text(lambda token: token[:20] + " " + token[20:]),
    "space-before-the-dot": with_text(lambda token: token.replace(".", " .", 1)),
    "nul-at-the-end": with_text(lambda token: f"{token}\0"),
    "another-after-a-comma": with_text(lambda token: f"{token},{token}"),
    "quoted": with_text(lambda token: f'"{token}"'),
    "bearer-twice": with_text(lambda token: f"Bearer {token}"),
    "percent-encoded": with_text(lambda token: token.replace(".", "%2e")),
    "letters-of-other-alphabets": with_text(lambda token: token.replace(".", "．")),  # meant
    "byte-order-mark": with_text(lambda token: f"\ufeff{token}"),
}


@pytest.mark.parametrize("name", SIGNATURES)
class TestSignature:
    async def test_must_be_the_one_that_was_made(self, target: Target, forger: Forger, name: str) -> None:
        await refused(target, SIGNATURES[name](forger))
