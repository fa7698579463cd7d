"""People who register while auth dies and comes back: whoever was told 201 has an account ever after."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

import httpx2
from chaos.cluster import Cluster
from chaos.load import Memory, insist

from comanda.cli.api import slug

PASSWORD = "tres gatos verdes en el tejado"  # of accounts that live as long as a test
PAUSE_SECONDS = 0.3


async def registering(cluster: Cluster, memory: Memory, *, people: int, is_open: Callable[[], bool]) -> None:
    """So many people at a time register and sign in, one account after the other, while it is open."""
    async with asyncio.TaskGroup() as group:
        for _ in range(people):
            group.create_task(_register(cluster, memory, is_open))


async def lost_accounts(cluster: Cluster, memory: Memory) -> list[str]:
    """Registered accounts that cannot sign in any more, one sentence each."""
    answers = [await _sign_in(cluster, memory, email) for email in memory.accounts]
    return [
        f"{email} was registered, and signing in is answered {answer.status_code} {answer.text[:300]}"
        for email, answer in zip(memory.accounts, answers, strict=True)
        if answer.status_code != 200
    ]


async def _register(cluster: Cluster, memory: Memory, is_open: Callable[[], bool]) -> None:
    url = f"{cluster.urls['auth']}/auth/usuarios"
    while is_open():
        email = f"{uuid4().hex}@example.com"
        answer = await insist(cluster, memory, "POST", url, json={"email": email, "password": PASSWORD})
        # Taken: by the try before this one, whose answer was lost. Nobody else knows the address.
        if answer.status_code == 201 or slug(answer) == "email-en-uso":
            memory.accounts.append(email)
            answer = await _sign_in(cluster, memory, email)
        if answer.status_code not in (200, 201):
            memory.faults.append(f"{email}: {answer.status_code} {answer.text[:300]}")
        await asyncio.sleep(PAUSE_SECONDS)


async def _sign_in(cluster: Cluster, memory: Memory, email: str) -> httpx2.Response:
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    return await insist(cluster, memory, "POST", f"{cluster.urls['auth']}/auth/token", data=form)
