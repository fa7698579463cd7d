import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from comanda.common.database import Database
from comanda.common.idempotency import KEPT, SWEEP_ROWS, Answer, Key, Keys, keys_table, running
from comanda.common.idempotency_header import key_of
from comanda.common.problems import ClaveReutilizada, DatosInvalidos, PeticionEnCurso, Problem
from comanda.common.requests import StrictRequest
from comanda.common.tokens import Principal
from comanda.testing import START, Databases, FakeClock

metadata = sa.MetaData()
table = keys_table(metadata)
KEY = Key("issuer", "ana", "POST /pedidos", "k-1", "f" * 64)
SOON = START + timedelta(seconds=30)
ANSWER = Answer(201, '{"a": 1}', {"ETag": '"1"'})


@pytest.fixture
async def database(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    database = Database(await databases.new(), clock=clock)
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.aclose()


@pytest.fixture
def keys(database: Database, clock: FakeClock) -> Keys:
    return Keys(table, database, clock)


async def claim(database: Database, keys: Keys, key: Key = KEY, **changes: Any) -> bool:
    values = {"now": START, "resource_id": UUID(int=1), "until": SOON} | changes
    async with database.transaction() as connection:
        return await keys.claim(connection, key, **values)


class TestClaim:
    async def test_the_first_gets_it(self, database: Database, keys: Keys) -> None:
        assert await claim(database, keys)
        assert not await claim(database, keys)
        async with database.read() as connection:
            record = await keys.find(connection, KEY)
        assert record is not None
        assert (record.resource_id, record.leased_until, record.answer) == (UUID(int=1), SOON, None)

    async def test_many_at_once(self, database: Database, keys: Keys) -> None:
        assert sum(await asyncio.gather(*(claim(database, keys) for _ in range(8)))) == 1

    @pytest.mark.parametrize("field", ["issuer", "subject", "route", "key"])
    async def test_other_scope(self, database: Database, keys: Keys, field: str) -> None:
        assert await claim(database, keys)
        assert await claim(database, keys, replace(KEY, **{field: "other"}))

    async def test_rolled_back_with_its_effect(self, database: Database, keys: Keys) -> None:
        with suppress(RuntimeError):
            async with database.transaction() as connection:
                await keys.claim(connection, KEY, now=START, resource_id=None, until=None)
                raise RuntimeError
        assert await claim(database, keys)


class TestFind:
    async def test_unknown(self, database: Database, keys: Keys) -> None:
        async with database.read() as connection:
            assert await keys.find(connection, KEY) is None

    async def test_other_body(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.read() as connection:
            with pytest.raises(ClaveReutilizada):
                await keys.find(connection, replace(KEY, fingerprint="0" * 64))


class TestRenew:
    async def renew(self, database: Database, keys: Keys, now: Any) -> bool:
        async with database.transaction() as connection:
            return await keys.renew(connection, KEY, now=now, until=now + timedelta(seconds=30))

    async def test_still_leased(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        assert not await self.renew(database, keys, SOON - timedelta(microseconds=1))

    async def test_lease_ended(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        won = await asyncio.gather(*(self.renew(database, keys, SOON) for _ in range(4)))
        assert sum(won) == 1

    async def test_released(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.transaction() as connection:
            await keys.release(connection, KEY, SOON)
        assert await self.renew(database, keys, START)

    async def test_answered(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.transaction() as connection:
            await keys.settle(connection, KEY, ANSWER)
        assert not await self.renew(database, keys, SOON)


class TestRelease:
    async def test_not_the_lease_of_somebody_else(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.transaction() as connection:
            await keys.release(connection, KEY, SOON + timedelta(seconds=1))
        async with database.read() as connection:
            record = await keys.find(connection, KEY)
        assert record is not None
        assert record.leased_until == SOON


class TestSettle:
    async def test_the_answer_is_given_again(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.transaction() as connection:
            await keys.settle(connection, KEY, ANSWER)
        async with database.read() as connection:
            record = await keys.find(connection, KEY)
        assert record is not None
        assert record.answer == ANSWER
        assert running(record, START) is None
        again = record.answer.response(replayed=True)
        assert (again.status_code, again.body, again.headers["etag"]) == (201, b'{"a": 1}', '"1"')
        assert again.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in record.answer.response().headers

    def test_a_refusal(self) -> None:
        class Otro(Problem):
            status, slug, title = 409, "otro", "Otro"

        answer = Answer.of_problem(Otro(headers={"Retry-After": "1"}, dato=5), "/x")
        response = answer.response()
        assert (response.status_code, response.media_type) == (409, "application/problem+json")
        assert json.loads(bytes(response.body))["dato"] == 5
        assert response.headers["retry-after"] == "1"


class TestRunning:
    async def test_until_its_lease_ends(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.read() as connection:
            record = await keys.find(connection, KEY)
        assert record is not None
        refusal = running(record, SOON - timedelta(seconds=2.5))
        assert refusal is not None
        assert (refusal.slug, refusal.headers) == ("peticion-en-curso", {"Retry-After": "1"})
        assert running(record, SOON) is None


class TestAnswerOrClaim:
    async def test_the_first_then_its_answer(self, database: Database, keys: Keys) -> None:
        async with database.transaction() as connection:
            assert await keys.answer_or_claim(connection, KEY, START) is None
            await keys.settle(connection, KEY, ANSWER)
        async with database.transaction() as connection:
            assert await keys.answer_or_claim(connection, KEY, START) == ANSWER

    async def test_two_at_once_have_one_effect(self, database: Database, keys: Keys) -> None:
        async def act() -> Answer | None:
            async with database.transaction() as connection:
                answer = await keys.answer_or_claim(connection, KEY, START)
                if answer is None:
                    await keys.settle(connection, KEY, ANSWER)
                return answer

        assert sorted(await asyncio.gather(act(), act()), key=str) == [ANSWER, None]

    async def test_without_an_answer_yet(self, database: Database, keys: Keys) -> None:
        await claim(database, keys)
        async with database.transaction() as connection:
            with pytest.raises(PeticionEnCurso):
                await keys.answer_or_claim(connection, KEY, START)


class TestKeepSwept:
    async def test_all_that_are_old_in_bounded_steps_and_again_later(
        self, database: Database, keys: Keys, clock: FakeClock
    ) -> None:
        old = START - KEPT - timedelta(microseconds=1)
        async with database.transaction() as connection:
            for number in range(SWEEP_ROWS + 1):
                await keys.claim(connection, replace(KEY, key=f"o{number}"), now=old, resource_id=None, until=None)
            assert await keys.sweep(connection) == SWEEP_ROWS
        await claim(database, keys, now=START - KEPT)
        sweeping = asyncio.create_task(keys.keep_swept())
        await self.reaches(database, 1)
        clock.advance(1e6)
        await self.reaches(database, 0)
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping

    @staticmethod
    async def reaches(database: Database, count: int) -> None:
        async with asyncio.timeout(5):
            while True:
                async with database.read() as connection:
                    if (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one() == count:
                        return
                await asyncio.sleep(0.001)


ANA = Principal("issuer", "ana", frozenset(), None, "t", 0, False)


def request(body: bytes, method: str = "POST", path: str = "/pedidos") -> StrictRequest:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    return StrictRequest({"type": "http", "method": method, "path": path, "headers": []}, receive)


async def fingerprint(body: bytes, **options: str) -> str:
    key = await key_of(request(body, **options), "k", ANA, "POST /pedidos")
    assert key is not None
    return key.fingerprint


class TestKeyOf:
    async def test_scope(self) -> None:
        key = await key_of(request(b"{}"), "k", ANA, "POST /pedidos")
        assert key is not None
        assert (key.issuer, key.subject, key.route, key.key) == ("issuer", "ana", "POST /pedidos", "k")

    async def test_no_header(self) -> None:
        assert await key_of(request(b"{}"), None, ANA, "r") is None

    @pytest.mark.parametrize("header", ["", "x" * 256, "a b", "ñ", "\x7f", "a\0", "\t"])
    async def test_malformed_header(self, header: str) -> None:
        with pytest.raises(DatosInvalidos):
            await key_of(request(b"{}"), header, ANA, "r")

    @pytest.mark.parametrize("header", ["x", "!" * 255, "~"])
    async def test_extremes(self, header: str) -> None:
        assert await key_of(request(b"{}"), header, ANA, "r") is not None

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (b'{"a": 1, "b": [2]}', b'{ "b":[2],"a":1 }'),
            (b'{"a": 19.90}', b'{"a": 19.9}'),
            (b'{"a": 19.0}', b'{"a": 19}'),
            (b'{"a": 1.9e1}', b'{"a": 19}'),
            (b'{"a": 1e30}', b'{"a": 10e29}'),
            (b'{"a": "\\u00e9"}', '{"a": "é"}'.encode()),
        ],
    )
    async def test_same_request_written_otherwise(self, one: bytes, other: bytes) -> None:
        assert await fingerprint(one) == await fingerprint(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (b'{"a": 1}', b'{"a": 2}'),
            (b'{"a": [1, 2]}', b'{"a": [2, 1]}'),
            (b'{"a": 1.00000000000000000000000000000001}', b'{"a": 1.0}'),
            (b'{"a": -1.5}', b'{"a": 1.5}'),
            (b'{"a": null}', b"{}"),
            (b"", b"{}"),
        ],
    )
    async def test_other_request(self, one: bytes, other: bytes) -> None:
        assert await fingerprint(one) != await fingerprint(other)

    async def test_method_and_path_count(self) -> None:
        prints = {
            await fingerprint(b"{}"),
            await fingerprint(b"{}", method="PUT"),
            await fingerprint(b"{}", path="/pedidos/1"),
        }
        assert len(prints) == 3

    async def test_a_number_that_would_fill_the_memory(self) -> None:
        assert len(await fingerprint(b'{"a": [1e999999999, -1e-999999999]}')) == 64
