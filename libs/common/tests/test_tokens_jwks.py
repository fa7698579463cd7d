"""Key sets: what is read from one, from files, and by which source."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from token_forging import OTHER_KEY, SERVICE_KEY, USER_KEY, FakeClock, jwks

from comanda.common.jwks import parse_key_set
from comanda.common.tokens import FileKeys, InvalidKeySet, KeySource, StaticKeys, UrlKeys, key_source


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


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
