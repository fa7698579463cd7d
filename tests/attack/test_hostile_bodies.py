"""Bodies that give more than was asked for, and JSON that is none or is too much: refused, and without effect."""

import json
from typing import Any

import pytest
from attack.bodies import SAMPLES, Place, Sample, changed, known_fields, leaves, raw, routes_with_json, send
from attack.target import PASSWORD, Target

from comanda.testing import fields, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOME_ID = "019b796d-d600-7000-8000-000000000000"
MORE: dict[str, Any] = {
    "rol": "admin",
    "activo": True,
    "id": SOME_ID,
    "version": 99,
    "sub": SOME_ID,
    "cliente_id": SOME_ID,
    "usuario_id": SOME_ID,
    "producto": SOME_ID,
    "pedido": SOME_ID,
    "precio": "0.01",
    "precio_unitario": "0.01",
    "precio_centimos": 1,
    "importe": "0.01",
    "total": "0.01",
    "total_centimos": 1,
    "moneda": "XXX",
    "estado": "COMPLETADO",
    "fase": "COMPLETADO",
    "fisico": 1_000_000,
    "reservado": 0,
    "disponible": 1_000_000,
    "expira_en": "2099-01-01T00:00:00Z",
    "reserva_expira_en": "2099-01-01T00:00:00Z",
    "creado_en": "2000-01-01T00:00:00Z",
    "actualizado_en": "2000-01-01T00:00:00Z",
    "password_hash": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAA",
    "email_clave": "jefa@comanda.test",
    "scope": "usuarios:gestionar",
    "secreto": "s" * 40,
    "client_secret": "s" * 40,
    "alcance": "usuarios:gestionar",
    "sid": SOME_ID,
    "__proto__": {"rol": "admin"},
    "__class__": "Usuario",
    "constructor": {"prototype": {"rol": "admin"}},
    "$set": {"rol": "admin"},
    "model_config": {"extra": "allow"},
    "ROL": "admin",
    "rol ": "admin",
    "rol\0": "admin",
    "": "admin",
}


class TestSamples:
    async def test_name_every_route_with_a_body_and_no_other(self, target: Target) -> None:
        assert routes_with_json(target) == SAMPLES.keys()


@pytest.mark.parametrize("row", SAMPLES)
class TestWithoutAttack:
    """What the attacks differ from by one thing."""

    async def test_it_is_done(self, target: Target, row: str) -> None:
        sample = await SAMPLES[row](target)
        assert (await send(target, sample)).is_success


@pytest.mark.parametrize("row", SAMPLES)
class TestMoreThanWasAskedFor:
    async def test_is_refused_by_name(self, target: Target, row: str) -> None:
        sample = await SAMPLES[row](target)
        before = await target.everything()
        for place, known in known_fields(target, sample, row).items():
            for name in MORE.keys() - known:
                body = changed(sample.body, (*place, name), MORE[name])
                response = await send(target, sample, json.dumps(body).encode())
                assert response.status_code == 422, (place, name, response.text)
                assert fields(response) == {".".join(map(str, (*place, name)))}
        assert await target.everything() == before

    async def test_is_not_read_from_elsewhere(self, target: Target, row: str) -> None:
        """Neither the query nor a form adds to a body."""
        sample = await SAMPLES[row](target)
        before = await target.everything()
        form = "&".join(f"{name}={value}" for name, value in sample.body.items())
        for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""):
            response = await target.clients[sample.service].request(
                sample.method,
                f"{sample.path}?{form}&rol=admin",
                content=form.encode(),
                headers=sample.headers | {"Content-Type": content_type},
            )
            assert (response.status_code, problem(response)) == (415, "tipo-no-admitido")
        assert await target.everything() == before


WHOLE = {
    "open-brackets": b"[" * 100_000,
    "open-braces": b'{"a":' * 100_000,
    "deep-list": b"[" * 100_000 + b"]" * 100_000,
    "deep-object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "digits": b"9" * 100_000,
    "exponent": b"1e999999999999999999",
    "nothing": b"",
    "nul": b"\0",
    "half": b'{"',
    "no-utf-8": b'{"\xff": 1}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "surrogate-bytes": b'"\xed\xa0\x80"',
    "surrogate-key": b'{"\\ud800": 1}',
    "list": b"[]",
    "text": b'"{}"',
    "null": b"null",
    "two": b"{}{}",
    "comment": b"{} // comment",
    "comma": b'{"a": 1,}',
    "single-quotes": b"{'a': 1}",
    "byte-order-mark": b"\xef\xbb\xbf{}",
}
VALUES = {
    "nan": "NaN",
    "infinity": "Infinity",
    "minus-infinity": "-Infinity",
    "beyond-a-float": "1e400",
    "beyond-a-float-below": "-1e400",
    "beyond-a-decimal": "1e999999999999999999",
    "digits": "9" * 5_000,
    "fraction-digits": "0." + "1" * 5_000,
    "lone-surrogate": '"\\ud800"',
    "surrogates-swapped": '"\\udc00\\ud800"',
    "lone-surrogate-bytes": '"\ud800"',
    "deep": "[" * 100_000 + "]" * 100_000,
    "object": '{"$gt": ""}',
    "list": '["a"]',
    "hexadecimal": "0x10",
    "leading-zero": "01",
    "python": "None",
}
NUL = '"a\\u0000b"'
SECRETS = {"token", "password", "actual", "nueva"}
"""Whose text is never stored nor shown, but hashed: any character will do."""


async def refusals(target: Target, sample: Sample, contents: dict[Any, bytes]) -> None:
    """Fails the test if one of those bodies is not refused in good form, or if one has had any effect."""
    before = await target.everything()
    for name, content in contents.items():
        response = await send(target, sample, content)
        assert response.status_code in (400, 422), (name, response.text)
        assert problem(response) in ("json-invalido", "datos-invalidos"), name
    assert await target.everything() == before


@pytest.mark.parametrize("row", SAMPLES)
class TestHostileJson:
    async def test_as_a_whole(self, target: Target, row: str) -> None:
        sample = await SAMPLES[row](target)
        contents = dict(WHOLE)
        if row.endswith(("/cancelar", "/secreto")):
            for may_be_left_out in ("nothing", "null"):
                del contents[may_be_left_out]
        await refusals(target, sample, contents)

    async def test_in_each_value(self, target: Target, row: str) -> None:
        sample = await SAMPLES[row](target)
        contents: dict[tuple[Place, str], bytes] = {}
        for place in leaves(sample.body):
            contents |= {(place, name): raw(sample.body, place, text) for name, text in VALUES.items()}
            if place[-1] not in SECRETS:
                contents[place, "nul"] = raw(sample.body, place, NUL)
        await refusals(target, sample, contents)

    async def test_with_a_name_given_twice(self, target: Target, row: str) -> None:
        """One reader takes the first, another the last: what a gateway has approved is not what would be done."""
        sample = await SAMPLES[row](target)
        contents: dict[str, bytes] = {}
        for name, value in sample.body.items():
            first = json.dumps(sample.body)[1:]
            contents[name] = f'{{"{name}": {json.dumps(value)}, {first}'.encode()
            contents[f"{name}, escaped"] = f'{{"\\u{ord(name[0]):04x}{name[1:]}": null, {first}'.encode()
        await refusals(target, sample, contents)


class TestSecrets:
    async def test_may_hold_any_character(self, target: Target) -> None:
        sample = await SAMPLES["POST /auth/usuarios"](target)
        password = PASSWORD + "\0\x1b"
        body = sample.body | {"password": password}
        assert (await send(target, sample, json.dumps(body).encode())).status_code == 201
        form = {"grant_type": "password", "username": sample.body["email"], "password": password}
        assert (await target.token(**form)).status_code == 200
        cut = await target.token(**form | {"password": PASSWORD})
        assert (cut.status_code, cut.json()["error"]) == (400, "invalid_grant")
