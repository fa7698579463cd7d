"""Who has an account here? Neither the words, nor the limits, nor the time of an answer tell."""

import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from attack.target import ADMIN_EMAIL, PASSWORD, Target, attacked, some_email

from comanda.testing import Databases

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG = "no es la de nadie"
ROUND = 12
"""Log-ins of each kind in one round of measuring."""
ROUNDS = 6
LARGEST_RATIO = 1.1


async def log_in(target: Target, email: str, password: str, **extra: str) -> Any:
    return await target.token(grant_type="password", username=email, password=password, **extra)


def told(response: Any) -> tuple[Any, ...]:
    """All of an answer but the id of its request."""
    headers = [(name, value) for name, value in response.headers.items() if name != "x-request-id"]
    return response.status_code, sorted(headers), response.content


@pytest_asyncio.fixture(loop_scope="module")
async def deactivated(target: Target) -> str:
    """The email of an account that has been closed."""
    email = some_email()
    path = f"/auth/usuarios/{await target.registrar(email)}"
    assert (await target.auth.patch(path, json={"activo": False}, headers=target.admin)).status_code == 200
    return email


class TestAnswers:
    async def test_are_the_same_for_whoever_cannot_log_in(self, target: Target, deactivated: str) -> None:
        answers = [
            await log_in(target, "ana@ejemplo.es", WRONG),
            await log_in(target, "ANA@EJEMPLO.ES", WRONG),
            await log_in(target, ADMIN_EMAIL, WRONG),
            await log_in(target, some_email(), WRONG),
            await log_in(target, some_email(), PASSWORD),
            await log_in(target, deactivated, WRONG),
            await log_in(target, deactivated, PASSWORD),
            await log_in(target, "no es un email", PASSWORD),
            await log_in(target, "ana@ejemplo.es", PASSWORD + "x" * 300),
            await log_in(target, some_email(), PASSWORD + "x" * 300),
        ]
        assert answers[0].status_code == 400
        assert {str(told(answer)) for answer in answers} == {str(told(answers[0]))}

    async def test_nor_does_the_scope_that_is_asked_for(self, target: Target, deactivated: str) -> None:
        """Whether a scope could be had is said to whoever has given the right password, and to nobody else."""
        for scope in ("usuarios:gestionar", "pedidos:crear", "no-existe"):
            answers = [
                await log_in(target, email, WRONG, scope=scope)
                for email in ("ana@ejemplo.es", ADMIN_EMAIL, deactivated, some_email())
            ]
            answers.append(await log_in(target, deactivated, PASSWORD, scope=scope))
            assert {str(told(answer)) for answer in answers} == {str(told(answers[0]))}

    async def test_limits_fall_on_whoever_does_not_exist_too(self, target: Target) -> None:
        here, nowhere = some_email(), some_email()
        await target.registrar(here)
        refusals = {}
        for email in (here, nowhere):
            answers = [await log_in(target, email, WRONG) for _ in range(11)]
            assert [answer.status_code for answer in answers] == [400] * 10 + [429]
            refusals[email] = str(told(answers[-1]))
        assert refusals[here] == refusals[nowhere]

    async def test_of_refreshing_are_the_same_too(self, target: Target, deactivated: str) -> None:
        email = some_email()
        usuario_id = await target.registrar(email)
        tokens = await target.entrar(email)
        await target.auth.patch(f"/auth/usuarios/{usuario_id}", json={"activo": False}, headers=target.admin)
        answers = [await target.renovar(token) for token in (tokens["refresh_token"], "nada", "A" * 70)]
        assert {str(told(answer)) for answer in answers} == {str(told(answers[0]))}

    async def test_of_revoking_are_the_same_too(self, target: Target) -> None:
        tokens = await target.entrar("ana@ejemplo.es")
        answers = [
            await target.auth.post("/auth/revocar", data={"token": token})
            for token in (tokens["refresh_token"], tokens["refresh_token"], "nada", tokens["access_token"])
        ]
        assert {str(told(answer)) for answer in answers} == {str(told(answers[0]))}
        assert answers[0].status_code == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def measured(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """With the hashes that auth makes by default: 19 MiB in two passes."""
    settings = {"argon2_time_cost": 2, "argon2_memory_kib": 19_456, "argon2_parallelism": 1}
    settings |= {
        "login_attempts": 10_000,
        "login_attempts_per_account_per_hour": 10_000,
        "login_attempts_per_source_per_minute": 10_000,
    }
    async with attacked(sqlite_databases, tmp_path_factory.mktemp("measured"), **settings) as target:
        yield target


class TestTime:
    """How much an answer costs tells nothing, measured in the CPU time of this process, which holds all of auth.

    CPU time counts no waiting, so other processes disturb it only through caches and clock rates, and the kinds of
    log-in take turns, so whatever disturbs one disturbs the other. A round is decided by its medians, and one round of
    several has to come out: a difference that is really there shows in each of them, noise in some.

    A user whose hash has outdated parameters takes as long as those say, until the next log-in replaces it: after a
    change of `AUTH_ARGON2_*` the time tells who has not logged in since.
    """

    async def test_of_a_log_in_tells_nobody_from_somebody(self, measured: Target) -> None:
        closed = some_email()
        path = f"/auth/usuarios/{await measured.registrar(closed)}"
        assert (await measured.auth.patch(path, json={"activo": False}, headers=measured.admin)).status_code == 200
        kinds = {
            "wrong": ("ana@ejemplo.es", WRONG),
            "unknown": ("nadie@ejemplo.es", WRONG),
            "deactivated": (closed, PASSWORD),
            "too long": ("ana@ejemplo.es", "x" * 300),
        }
        ratios: list[float] = []
        for _ in range(ROUNDS):
            medians = await self._medians(measured, kinds)
            ratios.append(max(medians.values()) / min(medians.values()))
            if ratios[-1] <= LARGEST_RATIO:
                return
        pytest.fail(f"largest median by smallest, in each round: {ratios}")

    async def _medians(self, target: Target, kinds: dict[str, tuple[str, str]]) -> dict[str, float]:
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(ROUND):
            for kind, (email, password) in kinds.items():
                started = time.process_time()
                response = await log_in(target, email, password)
                seconds[kind].append(time.process_time() - started)
                assert response.status_code == 400
        return {kind: statistics.median(values) for kind, values in seconds.items()}

    async def test_would_be_seen_if_it_told(self, measured: Target) -> None:
        """The same measure of what does differ: without a password there is nothing to hash."""
        kinds = {"hashes": ("ana@ejemplo.es", WRONG), "does not": ("ana@ejemplo.es", "")}
        medians = await self._medians(measured, kinds)
        assert medians["hashes"] > 2 * medians["does not"]
