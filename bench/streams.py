"""What open streams of events cost pedidos, in a Markdown table.

    .venv/bin/python bench/streams.py                          about two minutes, on SQLite
    .venv/bin/python bench/streams.py --database postgresql

Orders are placed at a fixed rate, two events each, in turns without streams and with 500, five of each customer, that
read all that comes: every event goes out five times. Promised: 500 streams take at most 100 MB of memory, and an order
costs pedidos at most 1.15 times the CPU that it costs without them. Exit 1 if not. Figures are of one run, so that how
busy the machine is matters little.
"""

import argparse
import asyncio
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from measuring import processes
from measuring.measure import measure, orders, warm_up
from measuring.system import System, headers, running

SETTINGS = {"PEDIDOS_MAX_STREAMS_PER_USER": "500"}
EVENTS = 50
"""A second."""

MOST_BYTES, MOST_RATIO = 100e6, 1.15


class Listeners:
    """Customers who listen, in a thread of their own. `events` is how many have arrived."""

    def __init__(self, system: System, streams: int) -> None:
        self.events = 0
        self._port = system.port("pedidos")
        self._customers = [system.customers[n % len(system.customers)] for n in range(streams)]
        self._open = 0
        self._all_open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        for customer in self._customers:
            asyncio.run_coroutine_threadsafe(self._listen(customer), self._loop)
        if not self._all_open.wait(60):
            raise RuntimeError(f"only {self._open} streams are open")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    async def _listen(self, customer: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"GET /pedidos/eventos HTTP/1.1\r\n{headers(customer)}\r\n".encode())
            if b" 200 " not in await reader.readline():
                return
            await reader.readuntil(b"retry: ")
            self._open += 1
            if self._open == len(self._customers):
                self._all_open.set()
            while line := await reader.readline():
                self.events += line.startswith(b"id: ")
        finally:
            writer.transport.abort()


@contextmanager
def listening(system: System, streams: int) -> Iterator[Listeners]:
    listeners = Listeners(system, streams)
    listeners.start()
    yield listeners
    listeners.stop()


def memory(system: System) -> int:
    return processes.memory_bytes(system.pids["pedidos"])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=15, help="of each turn")
    parser.add_argument("--turns", type=int, default=3, help="without streams, and with them")
    options = parser.parse_args()
    alone, beside, events = [], [], 0
    with running(options.database, customers=100, products=100, settings=SETTINGS) as system:
        warm_up(system)
        load = replace(orders(system, system.products, 10**9), rate=EVENTS / 2, seconds=options.seconds, clients=16)
        before = memory(system)
        more = 0
        for _ in range(options.turns):
            alone.append(measure(system, load).cpu["pedidos"])
            with listening(system, options.streams) as listeners:
                beside.append(measure(system, load).cpu["pedidos"])
                more = max(more, memory(system) - before)
                events += listeners.events
    ratio = statistics.median(beside) / statistics.median(alone)
    print(f"| {options.streams} streams, {EVENTS} events/s, {options.database} | measured | promised |\n|---|--:|--:|")
    print(f"| memory of pedidos, more | {more / 1e6:.0f} MB | ≤ {MOST_BYTES / 1e6:.0f} MB |")
    print(f"| CPU of pedidos for an order, with ÷ without | {ratio:.2f} | ≤ {MOST_RATIO:.2f} |")
    print(f"| µs without: {', '.join(f'{one:.0f}' for one in alone)} | | |")
    print(f"| µs with: {', '.join(f'{one:.0f}' for one in beside)} | | |")
    print(f"| events that arrived | {events} | |")
    sys.exit(more > MOST_BYTES or ratio > MOST_RATIO)


if __name__ == "__main__":
    main()
