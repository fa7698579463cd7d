"""Rotation of the signing keys, by itself and by hand, with replicas, a wrong master key and the release before."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from alembic import command
from auth_internals import count, until, use_cases

from comanda.auth.app import create_app
from comanda.auth.claves import RotacionRechazada
from comanda.auth.key_store import KeyStore
from comanda.auth.keys import SigningKeys
from comanda.auth.master_keys import MasterKeys
from comanda.auth.repository_claves import RepositoryClaves
from comanda.auth.settings import Settings
from comanda.auth.tables import claves
from comanda.common import migrations
from comanda.common.app import NotReady
from comanda.common.database import Database
from comanda.common.tokens import SigningKey, UrlKeys, Verifier, user_issuer
from comanda.testing import Databases, FakeClock, running

MASTER = b"una-clave-maestra-de-mas-de-32-letras"
ANNOUNCE, RETENTION = 600, 900 + 600
DAYS_90 = 90 * 86_400


@pytest.fixture
async def base(make_settings: Callable[..., Settings], clock: FakeClock) -> AsyncIterator[Database]:
    """Migrated and empty; nobody works on it by himself."""
    database = Database(make_settings().database_url, clock=clock)
    yield database
    await database.aclose()


@pytest.fixture
def make_store(make_settings: Callable[..., Settings], base: Database, clock: FakeClock) -> Callable[..., KeyStore]:
    return lambda master=MASTER, **changes: KeyStore(make_settings(**changes), base, MasterKeys(master), clock)


def kid_of(keys: SigningKeys) -> str:
    """Of the key that signs."""
    header = keys.sign({}).partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=="))["kid"])


def published(keys: SigningKeys) -> list[str]:
    return [key["kid"] for key in keys.jwks["keys"]]


class TestRotar:
    async def test_se_publica_firma_y_se_retira(self, make_store: Callable[..., KeyStore], clock: FakeClock) -> None:
        store = make_store()
        keys = SigningKeys(store, clock)
        await keys.load_or_create()
        first = kid_of(keys)
        second = (await store.rotate()).kid
        for seconds, signer, kids in (
            (2, first, [first, second]),
            (ANNOUNCE - 3, first, [first, second]),
            (1, second, [first, second]),
            (RETENTION - 1, second, [first, second]),
            (1, second, [second]),
        ):
            clock.advance(seconds)
            await keys._reload()
            assert (kid_of(keys), published(keys)) == (signer, kids)
        assert not keys.knows(first)

    async def test_una_anunciada_basta(self, make_store: Callable[..., KeyStore], clock: FakeClock) -> None:
        store = make_store()
        await store.load_or_create()
        announced = await store.rotate()
        with pytest.raises(RotacionRechazada, match=announced.kid):
            await store.rotate()
        clock.advance(ANNOUNCE)
        await store.rotate()
        assert len(await store.read()) == 3

    async def test_dos_a_la_vez_anuncian_una(self, make_store: Callable[..., KeyStore], base: Database) -> None:
        first, second = make_store(), make_store()
        await asyncio.gather(first.load_or_create(), second.load_or_create())
        answers = await asyncio.gather(first.rotate(), second.rotate(), return_exceptions=True)
        assert sorted(isinstance(answer, RotacionRechazada) for answer in answers) == [False, True]
        assert len(await first.read()) == 2

    async def test_otra_clave_maestra_no_anuncia_nada(
        self, make_store: Callable[..., KeyStore], base: Database
    ) -> None:
        await make_store().load_or_create()
        wrong = make_store(b"otra")
        for attempt in (wrong.rotate, wrong.replace, wrong.load_or_create, wrong.maintain):
            with pytest.raises(NotReady, match="AUTH_MASTER_KEY"):
                await attempt()
        assert len(await make_store().read()) == 1

    async def test_si_se_muere_antes_de_terminar_no_ha_pasado_nada(
        self, make_store: Callable[..., KeyStore], base: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = make_store()
        before = await store.load_or_create()

        async def fail(*_: Any) -> None:
            raise RuntimeError

        monkeypatch.setattr(store, "_insert", fail)
        for attempt in (store.rotate, store.replace):
            with pytest.raises(RuntimeError):
                await attempt()
        assert await make_store().read() == before


class TestReemplazar:
    async def test_las_de_antes_dejan_de_valer(self, make_store: Callable[..., KeyStore], clock: FakeClock) -> None:
        store = make_store()
        keys = SigningKeys(store, clock)
        await keys.load_or_create()
        former = [kid_of(keys), (await store.rotate()).kid]
        new, withdrawn = await store.replace()
        assert withdrawn == 2
        clock.advance(2)
        assert await keys.key(new.kid) is not None
        assert published(keys) == [new.kid] == [kid_of(keys)]
        assert not any(map(keys.knows, former))


class TestPorSiSola:
    async def test_a_los_noventa_dias(self, make_store: Callable[..., KeyStore], clock: FakeClock) -> None:
        store = make_store()
        (first,) = await store.load_or_create()
        clock.advance(DAYS_90 - 1)
        assert await store.maintain() == [first]
        clock.advance(1)
        with structlog.testing.capture_logs() as lines:
            _, second = await store.maintain()
        assert (lines[0]["event"], lines[0]["kid"]) == ("signing_key_announced", second.kid)
        assert second.activa_desde == clock.now() + timedelta(seconds=ANNOUNCE)
        assert await store.maintain() == [first, second]
        clock.advance(ANNOUNCE + RETENTION)
        with structlog.testing.capture_logs() as lines:
            assert await store.maintain() == [second]
        assert (lines[0]["event"], lines[0]["kid"]) == ("signing_key_removed", first.kid)

    async def test_cero_es_nunca(self, make_store: Callable[..., KeyStore], clock: FakeClock) -> None:
        store = make_store(key_rotation_days=0)
        stored = await store.load_or_create()
        clock.advance(10 * DAYS_90)
        assert await store.maintain() == stored

    async def test_dos_replicas_a_la_vez_rotan_una_vez(
        self, make_store: Callable[..., KeyStore], base: Database, clock: FakeClock
    ) -> None:
        stores = [make_store() for _ in range(4)]
        await asyncio.gather(*(store.load_or_create() for store in stores))
        clock.advance(DAYS_90)
        seen = await asyncio.gather(*(store.maintain() for store in stores))
        assert len(seen[0]) == 2
        assert all(stored == seen[0] for stored in seen)

    async def test_el_servicio_lo_hace(self, api: Any, clock: FakeClock) -> None:
        keys = use_cases(api).keys
        (first,) = published(keys)
        clock.advance(DAYS_90)
        await until(lambda: count(api, claves), 2)

        async def kids() -> list[str]:
            return [key["kid"] for key in (await api.http.get("/.well-known/jwks.json")).json()["keys"]]

        await until(lambda: _length(kids), 2)
        (second,) = set(await kids()) - {first}
        headers = await api.de_admin()
        assert kid_of(keys) == first
        clock.advance(ANNOUNCE)
        assert kid_of(keys) == second
        assert (await api.http.get("/auth/yo", headers=headers)).status_code == 200
        assert (await api.http.get("/auth/yo", headers=await api.de_admin())).status_code == 200


async def _length(ask: Callable[[], Any]) -> int:
    return len(await ask())


class TestVerificadores:
    async def test_ningun_token_llega_antes_que_su_clave(
        self, make_store: Callable[..., KeyStore], clock: FakeClock
    ) -> None:
        """The verifier has fetched just before the announcement; its next fetch is allowed just in time."""
        store = make_store(key_announce_seconds=12)
        keys = SigningKeys(store, clock)
        await keys.load_or_create()

        async def fetch(_: str) -> Any:
            return keys.jwks

        source = UrlKeys("http://auth.test/", None, clock, fetch)
        verifier = Verifier([user_issuer("auth", source, "comanda")], clock)
        signed = set()
        for second in range(120):
            if second % 30 == 5:
                await store.rotate()
            if second % 2 == 0:
                await keys._reload()
            await source.key(f"invented-{second}")
            now = int(clock.now().timestamp())
            claims = {"iss": "auth", "sub": "ana", "aud": "comanda", "iat": now, "exp": now + 900, "jti": str(second)}
            assert (await verifier.verify(keys.sign(claims))).subject == "ana"
            signed.add(kid_of(keys))
            clock.advance(1)
        assert len(signed) == 5


class TestLaVersionAnterior:
    """It writes no `activa_desde`, and reads and signs as it always did."""

    async def test_una_clave_suya_firma(
        self, make_store: Callable[..., KeyStore], base: Database, clock: FakeClock
    ) -> None:
        store, key = make_store(), SigningKey.generate()
        private = store._cipher.seal_as_before(key.to_pem())
        async with base.transaction() as connection:
            await connection.execute(sa.insert(claves).values(kid=key.kid, privada=private, creada_en=clock.now()))
        (stored,) = await store.load_or_create()
        assert (stored.kid, stored.activa_desde) == (key.kid, clock.now())

    async def test_lee_las_nuestras_y_firma_con_la_anunciada(
        self, make_store: Callable[..., KeyStore], base: Database, clock: FakeClock
    ) -> None:
        store = make_store()
        (first,) = await store.load_or_create()
        clock.advance(1)
        second = await store.rotate()
        query = sa.select(claves.c.kid).order_by(claves.c.creada_en, claves.c.kid)
        async with base.read() as connection:
            assert list((await connection.execute(query)).scalars()) == [first.kid, second.kid]

    async def test_la_edad_de_las_suyas_cuenta_desde_la_migracion(self, databases: Databases, clock: FakeClock) -> None:
        before = datetime.now(UTC)
        database = Database(await databases.new(), clock=clock)
        try:
            async with database.migration() as connection:
                await connection.run_sync(to_first_revision)
                row = {"kid": "a", "privada": "x", "creada_en": clock.now()}
                await connection.execute(sa.insert(claves).values(row))
            await migrations.migrate(database, "comanda.auth")
            async with database.read() as connection:
                (stored,) = await RepositoryClaves().leer(connection)
        finally:
            await database.aclose()
        assert (stored.kid, stored.creada_en) == ("a", clock.now())
        assert before <= stored.activa_desde <= datetime.now(UTC)


def to_first_revision(connection: sa.Connection) -> None:
    config = migrations._config("comanda.auth")
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


class TestClaveIlegible:
    async def test_no_toma_parte(
        self, make_store: Callable[..., KeyStore], make_settings: Callable[..., Settings], clock: FakeClock
    ) -> None:
        await make_store().load_or_create()
        app = create_app(make_settings(), clock=clock)
        with structlog.testing.capture_logs() as lines:
            async with running(app) as client:
                async with app.state.wiring.database.transaction() as connection:
                    await connection.execute(
                        sa.insert(claves).values(
                            kid="rota", privada="rota", creada_en=clock.now(), activa_desde=clock.now()
                        )
                    )
                clock.advance(2)
                assert await app.state.service.keys.key("rota") is None
                assert len((await client.get("/.well-known/jwks.json")).json()["keys"]) == 1
                assert kid_of(app.state.service.keys) != "rota"
        assert [line["kid"] for line in lines if line["event"] == "signing_key_unreadable"] == ["rota"]
