"""Orders a second through all four services, and the CPU of each process for an order, in one line.

    .venv/bin/python bench/quick.py --database postgresql --clients 64 --orders 4000 [--hot]

The services get the settings of this process' environment: `PEDIDOS_GROUP_COMMIT=1 .venv/bin/python bench/quick.py`.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from measuring.measure import Measure, measure, orders, warm_up
from measuring.profile import profiled
from measuring.system import SERVICES, running


def line(measured: Measure) -> str:
    latencies = f"p50 {measured.p50 * 1e3:.1f} ms, p99 {measured.p99 * 1e3:.1f} ms"
    names = [*reversed(SERVICES), *(name for name in measured.cpu if name not in SERVICES)]
    cpu = ", ".join(f"{name} {measured.cpu[name]:.0f}" for name in names)
    text = f"{measured.rate:.0f} orders/s, {latencies} | µs CPU: {cpu}; services {measured.services_cpu:.0f}"
    return f"{text} | {measured.faults} UNEXPECTED: {measured.fault}" if measured.faults else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--orders", type=int, default=4000, help="of each round")
    parser.add_argument("--seconds", type=float, help="of each round, if its orders take longer")
    parser.add_argument("--rounds", type=int, default=1, help="lines to print")
    parser.add_argument("--rate", type=float, help="orders a second, whatever the answers do (open loop)")
    parser.add_argument("--hot", action="store_true", help="all orders are of one product instead of a thousand")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="where py-spy writes a profile of each service")
    parser.add_argument("--verify", action="store_true", help="check the invariants afterwards")
    options = parser.parse_args()
    with running(options.database, customers=options.clients) as system:
        warm_up(system)
        products = system.products[:1] if options.hot else system.products
        load = orders(system, products, options.orders)
        load = replace(load, clients=options.clients, seconds=options.seconds, rate=options.rate)
        for _ in range(options.rounds):
            with profiled(system, options.profile):
                measured = measure(system, load)
            print(line(measured), flush=True)
            if measured.faults:
                sys.exit(1)
        if options.verify:
            is_sound, said = system.verify()
            print(said)
            sys.exit(not is_sound)


if __name__ == "__main__":
    main()
