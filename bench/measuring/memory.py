"""What each service holds in memory as orders go through it."""

import time

from measuring import processes
from measuring.measure import measure, orders
from measuring.plan import Plan
from measuring.results import Memory, Results
from measuring.system import SERVICES, System

REST_SECONDS = 2
"""After the last order: what was held for requests has been given back."""


def measure_memory(system: System, database: str, plan: Plan, results: Results) -> None:
    placed = 0
    for count in plan.memory:
        measured = measure(system, orders(system, system.products, count - placed))
        results.add("memory", database, (count,), measured)
        placed = count
        time.sleep(REST_SECONDS)
        for service in SERVICES:
            resident, share = processes.memory_bytes(system.pids[service])
            results.memory[database, service][count] = Memory(resident, share)
