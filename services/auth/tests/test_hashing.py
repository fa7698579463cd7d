import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from comanda.auth.hashing import NICENESS, HashThreads
from comanda.common.problems import ServicioSaturado
from comanda.testing import FakeClock


class Bench:
    """Threads whose work ends when the test says so, and which note in what order it was begun."""

    def __init__(self, clock: FakeClock, **changes: Any) -> None:
        values = {"workers": 1, "queue": 100, "wait_seconds": 2.0, "hash_seconds": 0.1}
        self.threads = HashThreads(clock, **values | changes)
        self.free = threading.Event()
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[str]] = {}

    def work(self, name: str) -> Callable[[], str]:
        def run() -> str:
            self.begun.append(name)
            self.free.wait(10)
            return name

        return run

    async def come(self, name: str, source: str | None = None, *, known: bool = False) -> bool:
        """Whether it is let in."""
        running = self.threads.run(self.work(name), source=source or name, known=known)
        task = asyncio.create_task(running)
        await asyncio.sleep(0)
        if task.done() and isinstance(task.exception(), ServicioSaturado):
            return False
        self.tasks[name] = task
        return True

    async def finish(self) -> list[str]:
        """Lets all work end; in what order it was begun."""
        self.free.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        return self.begun


@pytest.fixture
async def bench(clock: FakeClock) -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**changes: Any) -> Bench:
        made.append(Bench(clock, **changes))
        return made[-1]

    yield make
    for each in made:
        each.free.set()
        await each.threads.aclose()


@asynccontextmanager
async def refused() -> AsyncIterator[pytest.ExceptionInfo[ServicioSaturado]]:
    with pytest.raises(ServicioSaturado) as refusal:
        yield refusal


class TestBounds:
    async def test_se_admite_lo_que_cabe_en_el_tiempo(self, bench: Any) -> None:
        subject = bench(hash_seconds=0.5)  # of the known four fit into two seconds, of the unknown eight into four
        assert [await subject.come(name, known=True) for name in "abcdef"] == [True] * 5 + [False]
        assert [await subject.come(f"{n}") for n in range(9)] == [True] * 8 + [False]
        assert len(await subject.finish()) == 5 + 8

    async def test_dos_hilos_admiten_el_doble(self, bench: Any) -> None:
        subject = bench(hash_seconds=0.5, workers=2)
        assert sum([await subject.come(f"{n}") for n in range(20)]) == 2 + 16

    async def test_si_un_hash_tarda_mas_que_la_espera_solo_entra_quien_tiene_hilo(self, bench: Any) -> None:
        subject = bench(hash_seconds=60)
        assert [await subject.come("a"), await subject.come("b")] == [True, False]

    async def test_el_rechazo_dice_cuando_volver(self, bench: Any) -> None:
        subject = bench(hash_seconds=0.5)
        for n in range(9):
            await subject.come(f"{n}")
        async with refused() as refusal:
            await subject.threads.run(subject.work("de más"), source="de más", known=False)
        assert (refusal.value.headers or {})["Retry-After"] == "4"

    async def test_quien_entro_se_atiende_por_mucho_que_tarde(self, bench: Any, clock: FakeClock) -> None:
        subject = bench()
        await subject.come("a")
        await subject.come("b")
        clock.advance(60)
        assert await subject.finish() == ["a", "b"]

    async def test_cuenta_lo_que_avanza_la_cola(self, bench: Any, clock: FakeClock) -> None:
        """However short a hash is: whom others overtake waits for them, too."""
        subject = bench(hash_seconds=0.001)
        for n in range(4):
            await subject.come(f"{n}")
        line = subject.threads._unknown
        line.moved(clock.monotonic())
        clock.advance(1.5)
        line.moved(clock.monotonic())
        assert not await subject.come("de más")  # three are ahead, and four times 1.5 s is more than four

    async def test_la_medida_sigue_a_lo_que_tardan(self, bench: Any, clock: FakeClock) -> None:
        subject = bench(hash_seconds=0.001)
        subject.free.set()

        def slow() -> None:
            clock.advance(10)

        for _ in range(6):
            await subject.threads.run(slow, source="a", known=False)
        subject.free.clear()
        assert [await subject.come("a"), await subject.come("b")] == [True, False]

    async def test_quien_se_va_deja_su_sitio(self, bench: Any) -> None:
        subject = bench(queue=1)
        assert [await subject.come(name) for name in "abc"] == [True, True, False]
        subject.tasks["b"].cancel()
        await asyncio.sleep(0)
        assert await subject.come("d")
        assert await subject.finish() == ["a", "d"]


class TestFairness:
    async def test_los_conocidos_van_antes(self, bench: Any) -> None:
        subject = bench()
        for name in ("x", "y", "z"):
            await subject.come(name)
        for name in ("A", "B", "C", "D", "E", "F"):
            await subject.come(name, known=True)
        assert await subject.finish() == list("xAByCDEzF")  # x found the thread free; the others do not wait for ever

    async def test_una_cola_llena_de_desconocidos_no_cierra_a_los_conocidos(self, bench: Any) -> None:
        subject = bench(queue=4)
        assert [await subject.come(f"{n}") for n in range(6)] == [True] * 5 + [False]
        assert await subject.come("ana", known=True)
        assert (await subject.finish()).index("ana") <= 2

    async def test_un_origen_no_llena_la_cola(self, bench: Any) -> None:
        """Alone it may have all of it; whoever comes from elsewhere takes the place of its last one."""
        subject = bench(queue=4)
        assert [await subject.come(f"{n}", "10.0.0.1") for n in range(6)] == [True] * 5 + [False]
        assert await subject.come("otro", "10.0.0.2")
        assert await subject.finish() == ["0", "1", "2", "3", "otro"]
        assert isinstance(subject.tasks["4"].exception(), ServicioSaturado)

    async def test_entre_iguales_nadie_cede(self, bench: Any) -> None:
        subject = bench(queue=2)
        assert [await subject.come(name) for name in "abcd"] == [True, True, True, False]

    async def test_ni_quien_comparte_sitio_con_un_conocido(self, bench: Any) -> None:
        subject = bench(queue=4)
        for n in range(9):
            await subject.come(f"{n}", "10.0.0.1")
        assert await subject.come("ana", "10.0.0.1", known=True)


class TestThreads:
    async def test_un_error_llega_a_quien_espera_y_el_hilo_sigue(self, bench: Any) -> None:
        subject = bench()
        subject.free.set()
        with pytest.raises(ZeroDivisionError):
            await subject.threads.run(lambda: 1 // 0, source="a", known=False)
        assert await subject.threads.run(lambda: "sigue", source="a", known=False) == "sigue"

    async def test_al_cerrar_nadie_queda_esperando(self, bench: Any) -> None:
        subject = bench()
        await subject.come("a")
        await subject.come("b")
        await subject.threads.aclose()
        with pytest.raises(asyncio.CancelledError):
            await subject.tasks["b"]

    @pytest.mark.skipif(os.uname().sysname != "Linux", reason="threads have a priority of their own on Linux alone")
    async def test_ceden_el_paso(self, bench: Any) -> None:
        subject, before = bench(), os.getpriority(os.PRIO_PROCESS, 0)
        niceness = await subject.threads.run(
            lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), source="a", known=False
        )
        assert niceness == min(19, before + NICENESS) or niceness == NICENESS
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
