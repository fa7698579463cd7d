"""How many attempts are heard: counted in this process, by account and by the place that they come from."""

import math

from prometheus_client import Counter

from comanda.auth.counters import Counters
from comanda.auth.domain import DemasiadosIntentos
from comanda.auth.settings import Settings
from comanda.common.clock import Clock

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5, 900
"""What one failure too many costs, and to what it grows; each further one costs twice the wait before."""

FORGET_SECONDS = 600
"""After so long one failure of an account from one place is forgotten."""

NEGLIGIBLE_SECONDS = 0.001
"""Not worth a refusal; counts are floats."""

_DOUBLINGS = math.ceil(math.log2(LONGEST_WAIT_SECONDS / FIRST_WAIT_SECONDS))

REFUSED = Counter("comanda_auth_rechazos", "Attempts refused unheard, by reason.", ["motivo"])


class Throttling:
    """The limits of auth. Every refusal says when the next attempt will be heard.

    A place from which the account has logged in before is known. Whatever strangers do, attempts from there are limited
    by what failed there on this account alone, so that nobody can be locked out of their own account from elsewhere.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._free = settings.login_attempts
        self._per_account = settings.login_attempts_per_account_per_hour
        self._per_place = settings.login_attempts_per_source_per_minute
        self._pairs = Counters(clock, leak_seconds=FORGET_SECONDS, heavy=self._free, most=self._free + _DOUBLINGS)
        self._accounts = Counters(clock, leak_seconds=3600 / self._per_account, heavy=self._per_account / 2)
        self._places = Counters(clock, leak_seconds=60 / self._per_place, heavy=self._per_place / 2)
        self._registrations = _Rate(clock, settings.registrations_per_source_per_minute, 60, "alta")
        self._forgotten = _Rate(clock, settings.forgotten_passwords_per_source_per_minute, 60, "olvidada")
        self._reset_mails = _Rate(clock, settings.mails_per_address_per_hour, 3600, "correo")
        self._verification_mails = _Rate(clock, settings.mails_per_address_per_hour, 3600, "correo")

    def check_login(self, account: str, place: str, *, known: bool) -> None:
        """Raises `DemasiadosIntentos`, for who exists and who does not alike."""
        _refuse_for(self._penalty(account, place), "cuenta-y-origen")
        if not known:
            _refuse_for(self._accounts.wait_below(self._per_account, account), "cuenta")
            _refuse_for(self._places.wait_below(self._per_place, place), "origen")

    def login_failed(self, account: str, place: str, *, known: bool) -> bool:
        """Counts it. Whether strangers have now used up what the account allows them: somebody attacks it."""
        self._pairs.add(account, place)
        if known:
            return False
        self._places.add(place)
        return self._accounts.add(account) > self._per_account - 1

    def check_client(self, client_id: str, place: str) -> None:
        """Raises `DemasiadosIntentos`.

        Nobody guesses a secret of 256 bits, so strangers elsewhere cost a service account nothing.
        """
        _refuse_for(self._penalty(f"client {client_id}", place), "cuenta-y-origen")
        _refuse_for(self._places.wait_below(self._per_place, place), "origen")

    def client_failed(self, client_id: str, place: str) -> None:
        self._pairs.add(f"client {client_id}", place)
        self._places.add(place)

    def check_passkey(self, place: str) -> None:
        """Raises `DemasiadosIntentos`. Nobody guesses a signature, so there is nothing to guard but our own work."""
        _refuse_for(self._places.wait_below(self._per_place, place), "origen")

    def passkey_failed(self, place: str) -> None:
        self._places.add(place)

    def login_succeeded(self, account: str, place: str) -> None:
        """What failed here before was a slip."""
        self._pairs.forget(account, place)

    def registration(self, place: str) -> None:
        """Counts a registration. Raises `DemasiadosIntentos`."""
        self._registrations.hit(place)

    def forgotten_password(self, place: str) -> None:
        """Counts a password called forgotten. Raises `DemasiadosIntentos`."""
        self._forgotten.hit(place)

    def reset_mail(self, address: str) -> bool:
        """Counts a link for a new password; False when that address, whoever has it, got enough of them."""
        return self._reset_mails.take(address) == 0

    def verification_mail(self, usuario_id: str) -> None:
        """Counts a link that verifies an address. Raises `DemasiadosIntentos`."""
        self._verification_mails.hit(usuario_id)

    def _penalty(self, account: str, place: str) -> float:
        """Seconds that are left of the wait which the latest failure has cost."""
        count, ago = self._pairs.last(account, place)
        excess = round(count) - self._free
        if excess < 0:
            return 0
        return float(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**excess) - ago)


class _Rate:
    """So many events in so many seconds, by key."""

    def __init__(self, clock: Clock, bound: int, seconds: float, reason: str) -> None:
        self._bound = bound
        self._reason = reason
        self._counts = Counters(clock, leak_seconds=seconds / bound, heavy=bound / 2)

    def hit(self, key: str) -> None:
        """Counts one. Raises `DemasiadosIntentos`."""
        _refuse_for(self.take(key), self._reason)

    def take(self, key: str) -> float:
        """Counts one, unless it is too many: then it tells the seconds to wait."""
        wait = self._counts.wait_below(self._bound, key)
        if wait > NEGLIGIBLE_SECONDS:
            return wait
        self._counts.add(key)
        return 0


def _refuse_for(seconds: float, reason: str) -> None:
    if seconds > NEGLIGIBLE_SECONDS:
        REFUSED.labels(reason).inc()
        raise DemasiadosIntentos(max(1, math.ceil(seconds)))
