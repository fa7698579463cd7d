"""How many attempts are heard: moving windows, kept in this process."""

import math
from collections import OrderedDict, deque

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from comanda.auth.domain import DemasiadosIntentos
from comanda.auth.settings import Settings
from comanda.common.clock import Clock

MAX_KEYS = 50_000
"""Keys remembered; the one that was silent longest is forgotten first."""


class Throttling:
    """The limits of auth. Every refusal says when the next attempt will be heard."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._windows = MovingWindowRateLimiter(MonotonicStorage(clock))
        self._by_account = RateLimitItemPerMinute(settings.login_attempts_per_minute, namespace="account")
        self._by_source = RateLimitItemPerMinute(settings.login_attempts_per_source_per_minute, namespace="source")
        self._registrations = RateLimitItemPerMinute(
            settings.registrations_per_source_per_minute, namespace="registration"
        )
        self._forgotten = RateLimitItemPerMinute(
            settings.forgotten_passwords_per_source_per_minute, namespace="forgotten"
        )
        self._reset_mails = RateLimitItemPerHour(settings.mails_per_address_per_hour, namespace="reset")
        self._verification_mails = RateLimitItemPerHour(settings.mails_per_address_per_hour, namespace="verification")

    def check_login(self, account: str, source: str) -> None:
        """Raises `DemasiadosIntentos` when this account from this source, or this source, failed too often."""
        self._check(self._by_account, source, account)
        self._check(self._by_source, source)

    def login_failed(self, account: str, source: str) -> None:
        self._windows.hit(self._by_account, source, account)
        self._windows.hit(self._by_source, source)

    def registration(self, source: str) -> None:
        """Counts a registration. Raises `DemasiadosIntentos`."""
        self._check(self._registrations, source)
        self._windows.hit(self._registrations, source)

    def forgotten_password(self, source: str) -> None:
        """Counts a password called forgotten. Raises `DemasiadosIntentos`."""
        self._check(self._forgotten, source)
        self._windows.hit(self._forgotten, source)

    def reset_mail(self, address: str) -> bool:
        """Counts a link for a new password; False when that address, whoever has it, got enough of them."""
        return self._windows.hit(self._reset_mails, address)

    def verification_mail(self, usuario_id: str) -> None:
        """Counts a link that verifies an address. Raises `DemasiadosIntentos`."""
        self._check(self._verification_mails, usuario_id)
        self._windows.hit(self._verification_mails, usuario_id)

    def _check(self, limit: RateLimitItem, *key: str) -> None:
        if not self._windows.test(limit, *key):
            wait = self._windows.get_window_stats(limit, *key).reset_time - self._clock.monotonic()
            raise DemasiadosIntentos(max(1, math.ceil(wait)))


class MonotonicStorage(Storage, MovingWindowSupport):
    """Moving windows for `limits`, on our clock and bounded.

    The library's own storage in memory reads the wall clock, never forgets a key, and starts a thread at each hit.
    """

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        hits = self._recent(key, expiry)
        if len(hits) + amount > limit:
            return False
        hits.extend([self._clock.monotonic()] * amount)
        self._hits[key] = hits
        self._hits.move_to_end(key)
        if len(self._hits) > MAX_KEYS:
            self._hits.popitem(last=False)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        hits = self._recent(key, expiry)
        return (hits[0] if hits else self._clock.monotonic()), len(hits)

    def _recent(self, key: str, expiry: int) -> deque[float]:
        hits = self._hits.get(key, deque())
        while hits and hits[0] <= self._clock.monotonic() - expiry:
            hits.popleft()
        return hits

    def clear(self, key: str) -> None:
        self._hits.pop(key, None)

    def reset(self) -> int:
        forgotten = len(self._hits)
        self._hits.clear()
        return forgotten

    def check(self) -> bool:
        return True

    def get(self, key: str) -> int:
        return len(self._hits.get(key, ()))

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError("moving windows only")

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError("moving windows only")
