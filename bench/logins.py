"""What a flood of logins does to a running system, in a Markdown table.

    .venv/bin/python bench/logins.py                          about two minutes, on SQLite
    .venv/bin/python bench/logins.py --database postgresql

Orders, token refreshes and `/livez` come at a fixed rate for a while, first alone and then beside 200 logins a second:
180 with wrong passwords, half of them of accounts that exist, from a thousand places that nobody knows, and 20 of fifty
customers from where they have logged in before. Passwords cost what they cost in production. All come from this
machine; the places are what `X-Forwarded-For` says, which auth believes of the driver's address.

Promised: what exceeds the bound is refused within 100 ms (p99); at least 10 valid logins a second succeed, within 2 s;
an order takes at most 4 times as long as alone (p99). Exit 1 if not.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlencode

import httpx2

from measuring.driver import Load, Outcome
from measuring.measure import orders, warm_up
from measuring.system import PASSWORD, System, drive, running

SETTINGS = {
    "AUTH_ARGON2_TIME_COST": "2",
    "AUTH_ARGON2_MEMORY_KIB": "19456",
    "AUTH_ARGON2_PARALLELISM": "1",
    "AUTH_TRUSTED_PROXIES": "127.0.0.1",
    "AUTH_LOG_LEVEL": "info",
}
CUSTOMERS, PLACES = 50, 1000
ORDERS, REFRESHES, LIVEZ, VALID, WRONG = 50, 10, 20, 20, 180
"""Requests a second."""

REFUSED = ("429", "503")
MOST_REFUSAL, MOST_VALID, MOST_RATIO, LEAST_VALID = 0.1, 2.0, 4.0, 10.0
"""What is promised: seconds, seconds, times, logins a second."""


def customer(number: int) -> str:
    return f"cliente-{number}@example.com"


def home(number: int) -> str:
    return f"198.51.100.{number + 1}"


def login(email: str, password: str) -> dict[str, str]:
    return {"grant_type": "password", "username": email, "password": password}


def head(place: str) -> str:
    return f"POST /auth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {place}\r\n"


def tail(form: Mapping[str, str]) -> str:
    body = urlencode(form)
    return f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def refresh_tokens(system: System, sessions: int) -> list[str]:
    """Registers the customers, unless they are, and has each log in from home; returns as many refresh tokens."""
    tokens = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{system.port('auth')}", trust_env=False, timeout=30) as client:
        for number in range(CUSTOMERS):
            client.post("/auth/usuarios", json={"email": customer(number), "password": PASSWORD})
        for number in range(sessions):
            who = number % CUSTOMERS
            form = login(customer(who), PASSWORD)
            answer = client.post("/auth/token", data=form, headers={"X-Forwarded-For": home(who)})
            tokens.append(answer.raise_for_status().json()["refresh_token"])
    return tokens


def ordinary(system: System, tokens: Sequence[str], seconds: float) -> dict[str, Load]:
    """What goes on in any case."""
    refreshes = [tail({"grant_type": "refresh_token", "refresh_token": token}) for token in tokens]
    return {
        "orders": paced(orders(system, system.products, 10**9), ORDERS, seconds),
        "refreshes": paced(system.load("auth", [head(home(0))], refreshes, 200, len(tokens)), REFRESHES, seconds),
        "/livez": paced(
            system.load("auth", ["GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"], ["\r\n"], 200, 10**9), LIVEZ, seconds
        ),
    }


def flood(system: System, seconds: float) -> dict[str, Load]:
    valid = [tail(login(customer(number), PASSWORD)) for number in range(CUSTOMERS)]
    homes = [head(home(number)) for number in range(CUSTOMERS)]
    wrong = [tail(login(email, "no es esta, ni otra")) for email in _attacked(int(WRONG * seconds))]
    places = [head(f"203.{number // 250}.113.{number % 250}") for number in range(PLACES)]
    return {
        "valid logins": paced(system.load("auth", homes, valid, 200, 10**9), VALID, seconds),
        "wrong logins": paced(system.load("auth", places, wrong, 400, 10**9), WRONG, seconds),
    }


def _attacked(guesses: int) -> Iterator[str]:
    for number in range(guesses):
        yield customer(number // 2 % CUSTOMERS) if number % 2 else f"nadie-{number}@example.com"


def paced(load: Load, rate: float, seconds: float) -> Load:
    return replace(load, rate=rate, seconds=seconds, clients=400)


def together(loads: Mapping[str, Load]) -> dict[str, Outcome]:
    """Each from a process of its own, at the same time."""
    with ThreadPoolExecutor(len(loads)) as threads:
        return dict(zip(loads, threads.map(drive, loads.values()), strict=True))


def table(alone: Mapping[str, Outcome], flooded: Mapping[str, Outcome]) -> Iterator[str]:
    yield "| | alone: p50, p99 ms | in the flood: p50, p99 ms | p99 ÷ alone | answers in the flood |"
    yield "|---|--:|--:|--:|---|"
    for name, outcome in flooded.items():
        before = alone.get(name)
        quiet = f"{before.p50 * 1e3:.1f}, {before.p99 * 1e3:.1f}" if before else "–"
        ratio = f"{outcome.p99 / before.p99:.1f}" if before else "–"
        statuses = " · ".join(f"{status}: {count}" for status, count in sorted(outcome.statuses.items()))
        yield f"| {name} | {quiet} | {outcome.p50 * 1e3:.1f}, {outcome.p99 * 1e3:.1f} | {ratio} | {statuses} |"


def verdicts(alone: Mapping[str, Outcome], flooded: Mapping[str, Outcome]) -> Iterator[tuple[str, str, bool]]:
    """What was promised, what was measured, and whether it holds."""
    refusals = [flooded[name].p99_of.get(status, 0) for name in ("valid logins", "wrong logins") for status in REFUSED]
    valid = flooded["valid logins"]
    ratio = flooded["orders"].p99 / alone["orders"].p99
    others = sum(flooded[name].faults for name in ("orders", "refreshes", "/livez"))
    yield "a refusal takes at most 100 ms (p99)", f"{max(refusals) * 1e3:.1f} ms", max(refusals) <= MOST_REFUSAL
    yield "a valid login takes at most 2 s (longest)", f"{valid.longest:.2f} s", valid.longest <= MOST_VALID
    yield "at least 10 valid logins a second", f"{valid.rate:.1f}", valid.rate >= LEAST_VALID
    yield "an order takes at most 4 times as long as alone (p99)", f"{ratio:.1f}", ratio <= MOST_RATIO
    yield "no order, refresh or /livez fails", f"{others}", others == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=float, default=20, help="of each of the two measures")
    options = parser.parse_args()
    sessions = int(REFRESHES * options.seconds)
    with running(options.database, customers=16, products=100, settings=SETTINGS) as system:
        tokens = refresh_tokens(system, 2 * sessions)
        warm_up(system)
        time.sleep(1)
        alone = together(ordinary(system, tokens[:sessions], options.seconds))
        loads = ordinary(system, tokens[sessions:], options.seconds) | flood(system, options.seconds)
        flooded = together(loads)
    print(*table(alone, flooded), "", "| promised | measured | |", "|---|--:|---|", sep="\n")
    found = list(verdicts(alone, flooded))
    for promise, measured, holds in found:
        print(f"| {promise} | {measured} | {'held' if holds else '**missed**'} |")
    sys.exit(not all(holds for _, _, holds in found))


if __name__ == "__main__":
    main()
