import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.moments import UtcDateTime
from comanda.common.pagination import Keyset, Page, PageRequest
from comanda.common.problems import DatosInvalidos
from comanda.testing import Databases

metadata = sa.MetaData()
text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", text),
    sa.Column("size", sa.BigInteger),
    sa.Column("at", UtcDateTime),
)
ORDERS = {
    "name": Keyset("name", things.c.name, things.c.id),
    "size": Keyset("size", things.c.size, things.c.id),
    "at": Keyset("at", things.c.at, things.c.id, descending=True),
}
START = datetime(2026, 1, 1, tzinfo=UTC)
rows = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "A", "ñ", "~", "'", "😀", "aa"]),
        st.sampled_from([-(2**63), -1, 0, 1, 2**63 - 1]),
        st.sampled_from([START, START + timedelta(microseconds=1), START - timedelta(days=9999)]),
    ),
    max_size=12,
)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    database = Database(await databases.new(), clock=SystemClock())
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.aclose()


def cursor_of(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


class TestFetch:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(content=rows, limit=st.integers(1, 5), order=st.sampled_from(sorted(ORDERS)))
    async def test_pages_join_to_the_whole(
        self, database: Database, content: list[tuple[str, int, datetime]], limit: int, order: str
    ) -> None:
        items = [
            {"id": UUID(int=number), "name": name, "size": size, "at": at}
            for number, (name, size, at) in enumerate(content)
        ]
        seen: list[dict[str, Any]] = []
        async with database.transaction() as connection:
            await connection.execute(sa.delete(things))
            if items:
                await connection.execute(sa.insert(things), items)
            page = PageRequest(limit)
            while True:
                found = await ORDERS[order].fetch(connection, sa.select(things), page)
                assert len(found.items) <= limit
                seen += [dict(item) for item in found.items]
                if found.next_cursor is None:
                    break
                page = PageRequest(limit, found.next_cursor)
        assert seen == sorted(items, key=lambda item: (item[order], item["id"]), reverse=order == "at")

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "?",
            "ñ",
            "a",
            "====",
            cursor_of(),
            cursor_of("at"),
            cursor_of("name", "x", str(UUID(int=1))),
            cursor_of("at", "x", str(UUID(int=1))),
            cursor_of("at", "2026-01-01T00:00:00+00:00", "x"),
            cursor_of("at", "2026-01-01T00:00:00+00:00", None),
            cursor_of("at", 5, str(UUID(int=1))),
            cursor_of("at", "0001-01-01T00:00:00+23:59", str(UUID(int=1))),
            cursor_of("at", "2026-01-01T00:00:00+00:00", str(UUID(int=1)), 1),
            base64.urlsafe_b64encode(b"[" * 700).decode(),
            base64.urlsafe_b64encode(b"\xff\xfe").decode(),
            base64.urlsafe_b64encode(b"{}").decode(),
            base64.urlsafe_b64encode(b"7").decode(),
        ],
    )
    def test_malformed_cursor(self, cursor: str) -> None:
        with pytest.raises(DatosInvalidos):
            ORDERS["at"].after(sa.select(things), cursor)

    @pytest.mark.parametrize("size", [True, 1.5, "1", 2**63, -(2**63) - 1, None])
    def test_cursor_with_an_impossible_number(self, size: Any) -> None:
        with pytest.raises(DatosInvalidos):
            ORDERS["size"].after(sa.select(things), cursor_of("size", size, str(UUID(int=1))))

    @pytest.mark.parametrize("name", ["a\0b", "\ud800"])
    def test_cursor_with_text_that_no_database_holds(self, name: str) -> None:
        with pytest.raises(DatosInvalidos):
            ORDERS["name"].after(sa.select(things), cursor_of("name", name, str(UUID(int=1))))


class TestPage:
    def test_map_keeps_the_cursor(self) -> None:
        assert Page([1, 2], "c").map(str) == Page(["1", "2"], "c")
