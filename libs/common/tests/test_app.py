"""A service from start to end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, HTTPException

from comanda.common.app import Wiring, create_app
from comanda.common.clock import SystemClock
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.migrations import migrate
from comanda.testing import Databases, FakeClock, Issuer, PostgresServer, problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
Wire = Callable[..., Awaitable[Wiring]]
Serve = Callable[[FastAPI], Awaitable[httpx2.AsyncClient]]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what it waits for offers no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def ticking(clock: FakeClock) -> AsyncIterator[None]:
    """Time passes: a second for each turn of the event loop."""

    async def tick() -> None:
        while True:
            clock.advance(1)
            await asyncio.sleep(0.001)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class TestStart:
    async def test_ready(self, start: Start) -> None:
        client = await start()
        assert (await client.get("/readyz")).json() == {"estado": "listo"}
        assert (await client.get("/livez")).json() == {"estado": "vivo"}

    async def test_database_that_comes_later(
        self, wire: Wire, serve: Serve, clock: FakeClock, tmp_path: Path, logs: list[Any]
    ) -> None:
        (tmp_path / "folder").write_text("in the way")
        app = create_app(await wire(database_url=f"sqlite:///{tmp_path}/folder/x.db"))
        client = await serve(app)
        await until(lambda: any(entry["event"] == "not_ready" for entry in logs))
        assert problem(await client.get("/readyz")) == "servicio-no-disponible"
        (tmp_path / "folder").unlink()
        async with ticking(clock):
            await asyncio.wait_for(app.state.ready.wait(), 5)
        assert (await client.get("/readyz")).status_code == 200

    async def test_waits_until_somebody_else_has_migrated(
        self, wire: Wire, serve: Serve, clock: FakeClock, logs: list[Any]
    ) -> None:
        wiring = await wire(migrate_on_start=False)
        app = create_app(wiring)
        client = await serve(app)
        await until(lambda: any("migrated" in str(entry.get("reason")) for entry in logs))
        assert (await client.get("/readyz")).status_code == 503
        await migrate(wiring.database, "cosas")
        async with ticking(clock):
            await asyncio.wait_for(app.state.ready.wait(), 5)
        assert (await client.get("/readyz")).status_code == 200

    async def test_on_ready_is_tried_again(self, wire: Wire, serve: Serve, clock: FakeClock, logs: list[Any]) -> None:
        tries: list[int] = []

        async def on_ready() -> None:
            tries.append(1)
            if len(tries) < 3:
                raise RuntimeError("not yet")

        app = create_app(await wire(on_ready=on_ready))
        async with ticking(clock):
            await serve(app)
            await asyncio.wait_for(app.state.ready.wait(), 5)
        assert len(tries) == 3

    async def test_database_gone_afterwards(self, start: Start, wire: Wire, serve: Serve, tmp_path: Path) -> None:
        wiring = await wire(database_url=f"sqlite:///{tmp_path}/x.db")
        app = create_app(wiring)
        client = await serve(app)
        await app.state.ready.wait()
        await wiring.database.aclose()
        (tmp_path / "x.db").unlink()
        (tmp_path / "x.db").mkdir()
        assert problem(await client.get("/readyz")) == "servicio-no-disponible"
        assert (await client.get("/livez")).status_code == 200


@pytest.fixture(scope="module")
def careless() -> Iterator[str]:
    """A PostgreSQL that does not sync."""
    server = PostgresServer("-c", "fsync=off").start()
    yield server.url
    server.stop()


class TestDurability:
    @pytest.fixture
    async def careless_url(self, careless: str, tmp_path: Path) -> str:
        return await Databases(tmp_path, careless).new()

    async def test_production_never_gets_ready(
        self, wire: Wire, serve: Serve, clock: FakeClock, careless_url: str, logs: list[Any]
    ) -> None:
        app = create_app(
            await wire(database_url=careless_url, environment="production", auth_issuer="https://id.tienda.es")
        )
        await serve(app)
        async with ticking(clock):
            await until(lambda: sum("fsync = off" in str(entry.get("reason")) for entry in logs) >= 2)
        assert not app.state.ready.is_set()

    async def test_development_only_warns(self, wire: Wire, serve: Serve, careless_url: str, logs: list[Any]) -> None:
        app = create_app(await wire(database_url=careless_url))
        await serve(app)
        await asyncio.wait_for(app.state.ready.wait(), 10)
        assert any(entry["event"] == "database_not_durable" for entry in logs)


class TestLoops:
    @pytest.mark.parametrize(
        ("error", "event"), [(RuntimeError("x"), "loop_failed"), (DatabaseUnavailable("x"), "loop_without_database")]
    )
    async def test_start_again_after_an_error(
        self, wire: Wire, serve: Serve, clock: FakeClock, logs: list[Any], error: Exception, event: str
    ) -> None:
        runs: list[int] = []

        async def loop() -> None:
            runs.append(1)
            raise error

        app = create_app(await wire(loops=[loop]))
        async with ticking(clock):
            await serve(app)
            await until(lambda: len(runs) >= 3)
        assert any(entry["event"] == event for entry in logs)
        assert app.state.ready.is_set()

    async def test_one_does_not_stop_another(self, wire: Wire, serve: Serve, clock: FakeClock) -> None:
        runs: list[int] = []

        async def broken() -> None:
            raise RuntimeError

        async def fine() -> None:
            while True:
                runs.append(1)
                await clock.sleep(1)

        async with ticking(clock):
            await serve(create_app(await wire(loops=[broken, fine])))
            await until(lambda: len(runs) >= 5)


class TestEnd:
    async def test_everything_is_closed_in_order(self, wire: Wire) -> None:
        done: list[str] = []

        async def loop() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                done.append("loop")

        async def first() -> None:
            done.append("first")
            raise RuntimeError("cannot close")

        async def second() -> None:
            done.append("second")

        wiring = await wire(loops=[loop], on_close=[first, second])
        app = create_app(wiring)
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        await app.state.ready.wait()
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="cannot close"):
            await lifespan.__aexit__(None, None, None)
        assert done == ["loop", "first", "second"]
        assert wiring.database.engine.pool.checkedin() == 0  # type: ignore[attr-defined]

    async def test_while_it_still_waits_for_the_database(self, wire: Wire) -> None:
        app = create_app(await wire(migrate_on_start=False))
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0)


class TestErrors:
    async def test_unknown_path_and_method(self, routes: APIRouter, start: Start) -> None:
        @routes.get("/cosa/{n}")
        async def leer(n: int) -> int:
            return n

        @routes.delete("/cosa/{n}")
        async def quitar(n: int) -> int:
            return n

        client = await start()
        assert problem(await client.get("/nada")) == "no-encontrado"
        response = await client.post("/cosa/1", json={})
        assert (response.status_code, problem(response)) == (405, "metodo-no-permitido")
        assert response.headers["Allow"] == "DELETE, GET"
        assert problem(await client.post("/livez")) == "metodo-no-permitido"

    async def test_strange_host_and_query(self, start: Start) -> None:
        client = await start()
        assert problem(await client.get("/nada", headers={"Host": "[::1"})) == "host-no-admitido"
        response = await client.get("/nada%23x?a=%ff")
        assert problem(response) == "no-encontrado"
        assert response.json()["instance"] == "/nada#x"

    async def test_http_exception_that_nobody_meant(self, routes: APIRouter, start: Start, logs: list[Any]) -> None:
        @routes.get("/raro")
        async def raro() -> None:
            raise HTTPException(418, "secreto")

        response = await (await start()).get("/raro")
        assert (response.status_code, problem(response)) == (500, "error-interno")
        assert "secreto" not in response.text

    async def test_database_unavailable(self, routes: APIRouter, start: Start) -> None:
        @routes.get("/datos")
        async def datos() -> None:
            raise DatabaseUnavailable("password=x")

        response = await (await start()).get("/datos")
        assert (response.status_code, problem(response)) == (503, "servicio-no-disponible")
        assert response.json()["servicio"] == "base-de-datos"
        assert "password" not in response.text


class TestOperations:
    async def test_circuits(self, start: Start, issuer: Issuer) -> None:
        client = await start()
        assert problem(await client.get("/circuitos")) == "no-autenticado"
        assert problem(await client.get("/circuitos", headers=issuer.headers("otro"))) == "no-autorizado"
        assert (await client.get("/circuitos", headers=issuer.headers("operaciones:leer"))).json() == []

    async def test_docs_from_our_own_assets(self, start: Start) -> None:
        client = await start()
        page = (await client.get("/docs")).text
        assert "http://" not in page.replace("http://localhost", "")
        assert "https://" not in page
        assert (await client.get("/docs/assets/swagger-ui-bundle.js")).status_code == 200
        assert problem(await client.get("/docs/assets/nada.js")) == "no-encontrado"


class TestMigrateOnStart:
    async def test_the_schema_is_there(self, wire: Wire, serve: Serve, sqlite_databases: Databases) -> None:
        url = await sqlite_databases.new()
        app = create_app(await wire(database_url=url))
        await serve(app)
        await app.state.ready.wait()
        database = Database(url, clock=SystemClock())
        async with database.read() as connection:
            assert (await connection.execute(sa.text("SELECT nombre FROM cosas"))).scalars().all() == ["made once"]
        await database.aclose()
