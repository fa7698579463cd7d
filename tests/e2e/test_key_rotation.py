"""Signing keys rotated under load: nobody who is logged in notices, and no service needs auth to know the last one."""

import asyncio
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from chaos.cluster import Cluster, inherited, running
from chaos.databases import postgresql
from chaos.nursery import Nursery
from e2e.helpers import ADMIN
from joserfc import jws

REQUESTS, ROTATIONS, CLIENTS = 10_000, 3, 16
PAUSE_SECONDS = 0.05
RENEW_EVERY = 10
"""Requests of a client between two renewals of its token."""

PATIENCE_SECONDS = 400
SETTINGS = {
    "COMANDA_ADMIN_EMAIL": ADMIN[0],
    "COMANDA_ADMIN_PASSWORD": ADMIN[1],
    "AUTH_KEY_ANNOUNCE_SECONDS": "12",  # the least that is allowed
    "AUTH_HTTP_TIMEOUT_SECONDS": "3",
    "PRODUCTOS_HTTP_TIMEOUT_SECONDS": "3",
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
async def cluster(tmp_path: Path, postgres_url: str, nursery: Nursery) -> AsyncIterator[Cluster]:
    databases = await postgresql(postgres_url)
    async with running(tmp_path, databases, replicas=2, launcher=nursery, settings=SETTINGS, complete=True) as cluster:
        yield cluster


class Traffic:
    """Clients that read with their token and renew it, at every replica of auth and productos in turn.

    They share the processors with the services, so they speak through aiohttp, which is light.

    `accepted` has, for each replica, the keys whose tokens it took.
    """

    def __init__(self, cluster: Cluster, http: aiohttp.ClientSession) -> None:
        self.reads = [f"{replica.url}/auth/yo" for replica in cluster.of("auth")]
        self.reads += [f"{replica.url}/productos" for replica in cluster.of("productos")]
        self.token_urls = itertools.cycle([f"{replica.url}/auth/token" for replica in cluster.of("auth")])
        self.accepted: dict[str, set[str]] = {url: set() for url in self.reads}
        self.answers: Counter[int] = Counter()
        self.tokens: dict[str, str] = {}
        """The first token of each key."""
        self.rotated = asyncio.Event()
        self._http = http

    async def client(self) -> None:
        """Reads and renews until there were enough requests, and all rotations."""
        answer = await self._tokens(grant_type="password", username=ADMIN[0], password=ADMIN[1])
        turn = 0
        while self.answers.total() < REQUESTS or not self.rotated.is_set():
            turn += 1
            if turn % RENEW_EVERY == 0:
                answer = await self._tokens(grant_type="refresh_token", refresh_token=answer["refresh_token"])
            await self.read(self.reads[turn % len(self.reads)], answer["access_token"])
            if not self.rotated.is_set():
                await asyncio.sleep(PAUSE_SECONDS)

    async def read(self, url: str, token: str) -> None:
        async with self._http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            text = await answer.text()
        self.answers[answer.status] += 1
        assert answer.status == 200, f"{url}: {text}"
        self.accepted[url].add(kid(token))

    async def taken_everywhere(self, keys: int) -> None:
        """Waits until each replica has accepted tokens of so many keys."""
        while min(map(len, self.accepted.values())) < keys:  # noqa: ASYNC110  # simpler than an event for each key
            await asyncio.sleep(0.1)

    async def _tokens(self, **form: str) -> dict[str, Any]:
        async with self._http.post(next(self.token_urls), data=form) as answer:
            assert answer.status == 200, await answer.text()
            tokens: dict[str, Any] = await answer.json()
        self.tokens.setdefault(kid(tokens["access_token"]), tokens["access_token"])
        return tokens


@lru_cache
def kid(token: str) -> str:
    return str(jws.extract_compact(token.encode()).headers()["kid"])


async def test_nadie_nota_tres_rotaciones(cluster: Cluster) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_SECONDS):
        traffic = Traffic(cluster, http)
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(traffic.client())
            await traffic.taken_everywhere(1)
            for number in range(ROTATIONS):
                assert "signs from" in await asyncio.to_thread(keys, cluster, "rotate")
                await traffic.taken_everywhere(number + 2)
            traffic.rotated.set()
        assert set(traffic.answers) == {200}
        assert traffic.answers[200] >= REQUESTS
        assert len(traffic.tokens) == 1 + ROTATIONS
        for token in traffic.tokens.values():  # those of retired keys, too
            for url in traffic.reads:
                await traffic.read(url, token)
        listed = await asyncio.to_thread(keys, cluster, "list")
        assert [line.split()[1] for line in listed.splitlines()[1:]] == ["retired"] * ROTATIONS + ["active"]
        await _without_auth(cluster, traffic)


async def _without_auth(cluster: Cluster, traffic: Traffic) -> None:
    """productos, started while auth is away, takes tokens of every key that it had once seen."""
    for replica in cluster.of("auth"):
        replica.supervised = False
        await replica.kill()
    for replica in cluster.of("productos"):
        replica.supervised = False
        await replica.kill()
        replica.start()
        assert await replica.ready(cluster.http)
        for token in traffic.tokens.values():
            await traffic.read(f"{replica.url}/productos", token)


def keys(cluster: Cluster, command: str) -> str:
    """What `comanda keys` says."""
    environment = {"COMANDA_DATA": str(cluster.folder), "AUTH_DATABASE_URL": cluster.databases["auth"]}
    done = subprocess.run(
        [sys.executable, "-m", "comanda.cli", "keys", command],
        env={**inherited(), **cluster.settings, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
