"""What goes wrong in a run, beside what the weather does to single messages. Each seed has its own mixture."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random

from simulation.hosts import Host
from simulation.network import Network, Weather
from simulation.process import CURRENT
from simulation.trace import Trace

LONGEST_SKEW_SECONDS = 60.0

SOME_DAYS_HOURS = (25.0, 49.0, 73.0, 100.0)
"""More than a key is promised to be kept, than it is kept, and than a closed reservation is kept."""


class Chaos:
    """Args: hosts: what can suffer; clients: who else the network can cut off."""

    def __init__(self, random: Random, network: Network, trace: Trace, hosts: list[Host], clients: list[str]) -> None:
        self._random = random
        self._network = network
        self._trace = trace
        self._hosts = hosts
        self._clients = clients
        kinds: list[Callable[[], None]] = [self._crash, self._pause, self._partition, self._jump, self._change_weather]
        self._kinds = kinds
        self._weights = [random.choice((0, 1, 1, 3)) for _ in kinds]
        self._weights[random.randrange(len(kinds) - 1)] += 1  # something happens in every run, in fine weather too
        self._weights[-1] += 1
        self._roughness = random.choice((0.0, 0.3, 1.0, 1.0, 2.0))
        self._mean_pause_seconds = random.choice((1.5, 2.5, 4.0))
        self._days_pass_at = random.uniform(4, 12) if random.random() < 0.05 else None
        self._skews: list[float] = []
        self.passed = timedelta(0)

    @property
    def clocks_apart_seconds(self) -> float:
        """The most that two clocks have differed, at the same time or one after the other."""
        return max(self._skews) - min(self._skews)

    def prepare(self) -> None:
        """Before anything starts: how apart the clocks are, how long processes live, how often others run between."""
        apart = self._random.choice((0.0, 0.5, 3.0, 3.0, 15.0, LONGEST_SKEW_SECONDS))
        lives = self._random.choice((0, 0, 400, 900, 2000))
        broken_commits = self._random.choice((0.0, 0.0, 0.01, 0.03))
        for host in self._hosts:
            host.temper.broken_commits = broken_commits
            self._set(host, self._random.uniform(-apart, apart))
            host.temper.yield_every = self._random.choice((6, 12, 30))
            host.temper.mean_steps_to_live = lives
        self._change_weather()

    async def reign(self, over: asyncio.Future[None], at_least: int) -> None:
        """Until `over` is done and so many faults have happened."""
        assert CURRENT.get() is None
        while not over.done() or self._trace.total("fault") < at_least:
            await asyncio.sleep(self._random.expovariate(1 / self._mean_pause_seconds))
            if self._days_pass_at is not None and asyncio.get_running_loop().time() > self._days_pass_at:
                self._let_days_pass()
            self._random.choices(self._kinds, self._weights)[0]()

    def _crash(self) -> None:
        self._random.choice(self._hosts).crash("no matter where")

    def _pause(self) -> None:
        """Up to longer than a lease, so that it goes on when others have taken over."""
        self._random.choice(self._hosts).freeze(self._random.choice((0.05, 0.5, 2.0, 6.0, 14.0, 20.0)))

    def _partition(self) -> None:
        one = self._random.choice(self._hosts)
        names = [host.name for host in self._hosts if host is not one] + self._clients
        other, seconds = self._random.choice(names), self._random.choice((0.5, 2.0, 5.0, 10.0))
        self._trace.add(one.name, "fault: partition", f"from {other}, {seconds} s")
        self._network.cut(one.name, other, seconds)

    def _jump(self) -> None:
        """Somebody sets a clock."""
        host = self._random.choice(self._hosts)
        limit = self._random.choice((2.0, 20.0, LONGEST_SKEW_SECONDS))
        self._set(host, self._random.uniform(-limit, limit))
        self._trace.add(host.name, "fault: clock jump", f"to {host.clock.skew_seconds:+.1f} s")

    def _set(self, host: Host, skew_seconds: float) -> None:
        host.clock.skew_seconds = skew_seconds
        self._skews.append(skew_seconds)

    def _let_days_pass(self) -> None:
        """Once at most: for everybody at the same time. What is under way arrives that much later."""
        self._days_pass_at = None
        self.passed = timedelta(hours=self._random.choice(SOME_DAYS_HOURS))
        for host in self._hosts:
            host.clock.passed = self.passed
        self._trace.add("world", "fault: days pass", str(self.passed))

    def _change_weather(self) -> None:
        def chance(most: float) -> float:
            return self._random.choice((0.0, 1.0)) * self._random.uniform(0, most) * self._roughness

        self._network.weather = Weather(
            lose_request=chance(0.08),
            lose_answer=chance(0.08),
            repeat=chance(0.10),
            late=chance(0.06),
            garble=chance(0.06),
            cancel=chance(0.03),
        )
        self._trace.add("network", "weather", str(self._network.weather) if self._trace.keep else "")
