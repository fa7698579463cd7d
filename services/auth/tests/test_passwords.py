import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher

from comanda.auth.passwords import Passwords
from comanda.common.problems import ServicioSaturado

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "contraseña buena"


class SlowHasher(PasswordHasher):
    """Hashes only when the test lets it."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.free = threading.Event()
        self.verified: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002  # the name in argon2
        self.free.wait(10)
        self.verified.append(str(password))
        return super().verify(hash, password)  # type: ignore[return-value]


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(CHEAP, workers=1, queue=4)
    yield passwords
    await passwords.aclose()


class TestVerify:
    async def test_buena_y_mala(self, passwords: Passwords) -> None:
        stored = await passwords.hash(PASSWORD)
        assert stored.startswith("$argon2id$")
        assert (await passwords.verify(stored, PASSWORD)).right
        assert not (await passwords.verify(stored, PASSWORD + "!")).right

    async def test_da_igual_como_se_compuso(self, passwords: Passwords) -> None:
        stored = await passwords.hash("contrasen\u0303a buena")
        assert (await passwords.verify(stored, PASSWORD)).right

    async def test_demasiado_larga_nunca_vale(self, passwords: Passwords) -> None:
        stored = await passwords.hash("a" * 256)
        assert (await passwords.verify(stored, "a" * 256)).right
        assert not (await passwords.verify(stored, "a" * 257)).right
        assert not (await passwords.verify(stored, "a" * 1_000_000)).right

    async def test_de_nadie_se_hace_el_mismo_trabajo(self) -> None:
        hasher = SlowHasher()
        hasher.free.set()
        passwords = Passwords(hasher, workers=1, queue=0)
        assert not (await passwords.verify(None, PASSWORD)).right
        assert hasher.verified == [PASSWORD]
        await passwords.aclose()

    async def test_un_hash_roto_no_vale(self, passwords: Passwords) -> None:
        assert not (await passwords.verify("no es un hash", PASSWORD)).right

    async def test_con_parametros_viejos_da_el_hash_nuevo(self, passwords: Passwords) -> None:
        verdict = await passwords.verify(PasswordHasher(2, 16, 1).hash(PASSWORD), PASSWORD)
        assert verdict.new_hash is not None
        assert (await passwords.verify(verdict.new_hash, PASSWORD)).new_hash is None


class TestBounds:
    async def test_lo_que_no_cabe_se_rechaza_en_el_acto(self) -> None:
        hasher = SlowHasher()
        passwords = Passwords(hasher, workers=1, queue=1)
        stored = CHEAP.hash(PASSWORD)
        taken = [asyncio.create_task(passwords.verify(stored, PASSWORD)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServicioSaturado):
            await passwords.verify(stored, PASSWORD)
        hasher.free.set()
        assert all(verdict.right for verdict in await asyncio.gather(*taken))
        assert (await passwords.verify(stored, PASSWORD)).right
        await passwords.aclose()

    async def test_quien_se_va_deja_su_sitio_en_la_cola(self) -> None:
        hasher = SlowHasher()
        passwords = Passwords(hasher, workers=1, queue=1)
        stored = CHEAP.hash(PASSWORD)
        first = asyncio.create_task(passwords.verify(stored, PASSWORD))
        gone = asyncio.create_task(passwords.verify(stored, "se va"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        instead = asyncio.create_task(passwords.verify(stored, PASSWORD))
        await asyncio.sleep(0)
        hasher.free.set()
        assert [(await task).right for task in (first, instead)] == [True, True]
        assert "se va" not in hasher.verified
        await passwords.aclose()
