"""Three hosts of PostgreSQL: Patroni chooses the leader, etcd holds the vote, a commit waits for a second host.

From Debian's packages `patroni`, `etcd-server`, `python3-etcd` and `postgresql-15`.
"""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path

import asyncpg
import httpx2
from hosts.machines import NETWORK, Host

PROGRAMS = "/usr/lib/postgresql/15/bin"
USER = "postgres"
PASSWORD = "de-la-prueba"
NUMBERS = {"db-1": 11, "db-2": 12, "db-3": 13}
DYNAMIC = {
    "ttl": 20,
    "loop_wait": 6,
    "retry_timeout": 7,
    "synchronous_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {"max_connections": 300, "shared_buffers": "64MB", "wal_sender_timeout": "5s"},
    },
}
"""A leader that is silent for `ttl` seconds is replaced; 20 is the least that Patroni takes. Commits wait for a standby
that has fallen silent until `wal_sender_timeout` is over."""

START_SECONDS = 90
LOOK_SECONDS = 0.3


class Patroni:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.hosts = {name: Host(name, number) for name, number in NUMBERS.items()}

    async def start(self) -> None:
        for name in self.hosts:
            self.boot(name)
        await self.whole()

    def boot(self, name: str) -> None:
        """Starts what belongs on that host; its data are as they were."""
        host, folder = self.hosts[name], self._folder / name
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, USER, USER)
        configuration = folder / "patroni.json"
        configuration.write_text(json.dumps(self._configuration(host, folder)))
        self._run(host, f"{name}-etcd", "etcd", *self._etcd(host, folder))
        self._run(host, name, "patroni", str(configuration))

    def url(self, database: str, user: str) -> str:
        """Of that database on whichever host leads."""
        hosts = "&".join(f"host={host.address}:5432" for host in self.hosts.values())
        return f"postgresql://{user}:{PASSWORD}@/{database}?{hosts}&target_session_attrs=read-write"

    async def leader(self) -> str:
        """The host that takes writes, as it says itself. Raises `RuntimeError`: none does for long."""
        deadline = time.monotonic() + START_SECONDS
        async with httpx2.AsyncClient(timeout=1, trust_env=False) as http:
            while time.monotonic() < deadline:
                for name, host in self.hosts.items():
                    try:
                        if (await http.get(f"http://{host.address}:8008/primary")).status_code == 200:
                            return name
                    except httpx2.TransportError:
                        pass
                await asyncio.sleep(LOOK_SECONDS)
        raise RuntimeError("no database leads")

    async def standby(self) -> str:
        """The host that commits wait for."""
        return next(member["name"] for member in await self._members() if member["role"] == "sync_standby")

    async def whole(self) -> None:
        """Waits until three hosts are in step, one of them leading and one that commits wait for."""
        deadline = time.monotonic() + START_SECONDS
        while not _in_step(members := await self._members()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the databases do not get in step: {members}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _members(self) -> list[dict[str, str]]:
        """As the leader knows them; empty if it falls silent meanwhile."""
        leader = self.hosts[await self.leader()]
        try:
            async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
                answer = (await http.get(f"http://{leader.address}:8008/cluster")).json()
        except (httpx2.TransportError, ValueError):
            return []
        return list(answer.get("members", ()))

    async def create(self, names: list[str]) -> None:
        """A database for each name, of a user of that name."""
        leader = self.hosts[await self.leader()].address
        connection = await asyncpg.connect(host=leader, user=USER, password=PASSWORD, database="postgres")
        try:
            for name in names:
                await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
                await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        finally:
            await connection.close()

    def _run(self, host: Host, log: str, *words: str) -> None:
        # A host of its own would not be kept waiting for a core by the services' hosts.
        person = ("nice", "-n", "-10", "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self._folder), "LANG": "C.UTF-8"}
        with (self._folder / f"{log}.log").open("ab") as output:
            subprocess.Popen(
                host.command(*person, *words),
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _etcd(self, host: Host, folder: Path) -> list[str]:
        members = ",".join(f"{name}=http://{other.address}:2380" for name, other in self.hosts.items())
        clients, peers = f"http://{host.address}:2379", f"http://{host.address}:2380"
        given = {
            "name": host.name,
            "data-dir": str(folder / "etcd"),
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": members,
            "heartbeat-interval": "250",
            "election-timeout": "2500",
            "pre-vote": "true",  # or a member that comes back makes the others elect again, and PostgreSQL with them
            "enable-v2": "true",
            "log-level": "warn",
        }
        return [f"--{name}={value}" for name, value in given.items()]

    def _configuration(self, host: Host, folder: Path) -> dict[str, object]:
        person = {"username": USER, "password": PASSWORD}
        return {
            "scope": "comanda",
            "name": host.name,
            "restapi": {"listen": f"{host.address}:8008", "connect_address": f"{host.address}:8008"},
            # Not `etcd3`: there Patroni 3.0 believes what it knew before its link was cut, and takes the lead back.
            "etcd": {"hosts": [f"{other.address}:2379" for other in self.hosts.values()]},
            "bootstrap": {"dcs": DYNAMIC, "initdb": [{"encoding": "UTF8"}, "data-checksums"]},
            "postgresql": {
                "listen": f"{host.address}:5432",
                "connect_address": f"{host.address}:5432",
                "data_dir": str(folder / "data"),
                "bin_dir": PROGRAMS,
                "pgpass": str(folder / "pgpass"),
                "parameters": {"unix_socket_directories": str(folder)},
                "pg_hba": [
                    "local all all trust",
                    *(f"host {what} all {NETWORK}.0/24 scram-sha-256" for what in ("all", "replication")),
                ],
                "authentication": {
                    "superuser": person,
                    "replication": {"username": "replicator", "password": PASSWORD},
                },
            },
        }


def _in_step(members: list[dict[str, str]]) -> bool:
    roles = sorted(member["role"] for member in members if member.get("state") in ("running", "streaming"))
    return roles == ["leader", "replica", "sync_standby"]
