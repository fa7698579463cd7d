"""What traces cost: the CPU of the services for an order, off and on, in turns on two systems beside each other.

    .venv/bin/python bench/tracing.py --database sqlite --rounds 9 --orders 1500

A line for each round, then the median of the rounds' ratios. The spans go to a collector that throws them away. Other
settings come from this process' environment: `OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=0.01`.
"""

import argparse
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from measuring.measure import Measure, measure, orders, warm_up
from measuring.system import System, running


class Sink(BaseHTTPRequestHandler):
    """Takes whatever is exported."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@contextmanager
def sink() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def one(system: System, count: int, clients: int) -> Measure:
    return measure(system, replace(orders(system, system.products, count), clients=clients))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--orders", type=int, default=1500, help="of each round and system")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    shop = {"customers": options.clients}
    quiet = {"OTEL_SDK_DISABLED": "true"}
    with sink() as address, running(options.database, settings=quiet, **shop) as off:
        loud = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_SDK_DISABLED": "false"}
        with running(options.database, settings=loud, **shop) as on:
            for system in (off, on):
                warm_up(system)
            ratios = []
            for number in range(options.rounds):
                pair = (off, on) if number % 2 else (on, off)
                cpu = {id(system): one(system, options.orders, options.clients).services_cpu for system in pair}
                ratios.append(cpu[id(on)] / cpu[id(off)])
                print(f"µs CPU an order: off {cpu[id(off)]:.0f}, on {cpu[id(on)]:.0f}", flush=True)
    print(f"on / off: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
