"""The services' HTTP interface, as a client of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import httpx2

from comanda.cli import environment
from comanda.cli.errors import CommandFailed

TIMEOUT_SECONDS = 15
PAGE_SIZE = 200
BUSY_TRIES = 5
BUSY_PAUSE_SECONDS = 1.0
"""A read from a service that is busy or just restarting is tried again."""


class Unreachable(CommandFailed):
    """A service does not answer, or not with what was asked for."""

    def __init__(self, service: str, url: str, reason: str) -> None:
        super().__init__(f"{service} at {url}: {reason}", code=2)


class Api:
    """Calls the services.

    Args:
        urls: the address of each.
        token: gives the bearer token for a call to that service; None calls without one.
        client: the connections to use; by default some of its own, which `close` closes.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        token: Callable[[str], str] | None = None,
        client: httpx2.Client | None = None,
    ) -> None:
        self._urls = urls
        self._token = token
        self._client = client or httpx2.Client(timeout=TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, service: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """Sends one request, as httpx2 does.

        Raises:
            Unreachable: no answer came.
        """
        headers = self.headers(service) | dict(options.pop("headers", {}))
        url = self._urls[service]
        try:
            return self._client.request(method, url + path, headers=headers, **options)
        except httpx2.RequestError as error:
            raise Unreachable(service, url, f"no answer ({error})") from None

    def headers(self, service: str) -> dict[str, str]:
        """What identifies the caller to that service."""
        return {} if self._token is None else {"Authorization": f"Bearer {self._token(service)}"}

    def get(self, service: str, path: str, **params: Any) -> httpx2.Response | None:
        """Reads a resource; None if there is none.

        Raises:
            Unreachable: no answer came, or neither 200 nor 404.
        """
        answer = self._patiently(service, path, params)
        if answer.status_code == 404 and slug(answer) == "no-encontrado":
            return None
        if answer.status_code in (401, 403):
            raise Unreachable(service, self._urls[service], f"it does not accept our token ({slug(answer)})")
        if answer.status_code != 200:
            raise Unreachable(service, self._urls[service], f"{answer.status_code} {slug(answer)} to GET {path}")
        return answer

    def all(self, service: str, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every element of a list, page after page.

        Raises:
            Unreachable: as `get`, and if the list does not exist.
        """
        cursor: dict[str, str] = {}
        while True:
            answer = self.get(service, path, limite=PAGE_SIZE, **params, **cursor)
            if answer is None:
                raise Unreachable(service, self._urls[service], f"there is no {path}")
            page = answer.json()
            yield from page["elementos"]
            if page["siguiente"] is None:
                return
            cursor = {"cursor": page["siguiente"]}

    def login(self, email: str, password: str, code: str | None = None) -> "Api":
        """The same services over the same connections, called as that user.

        Args:
            code: of the authenticator app, or for recovery; needed where the account has a second factor.

        Raises:
            CommandFailed: if auth does not accept the credentials.
        """
        form = {"grant_type": "password", "username": email, "password": password, "client_id": "comanda-web"}
        answer = self.request("auth", "POST", "/auth/token", data=form)
        as_page = answer.status_code == 400 and answer.json().get("error") == "unsupported_grant_type"
        if as_page:  # AUTH_PASSWORD_GRANT=false
            answer = self.request("auth", "POST", "/auth/sesion", json={"email": email, "password": password})
        if answer.status_code in (400, 403) and "mfa_token" in answer.json():
            if code is None:
                raise CommandFailed(f"{email} has a second factor: set COMANDA_ADMIN_CODE to a code of it")
            step = self._second_step_as_page if as_page else self._second_step
            answer = step(answer.json()["mfa_token"], code)
        if answer.status_code != 200:
            raise CommandFailed(f"auth does not accept the credentials of {email}: {answer.text}")
        access = str(answer.json()["access_token"])
        return Api(self._urls, lambda _: access, self._client)

    def _second_step(self, mfa_token: str, code: str) -> httpx2.Response:
        kind, name = ("mfa-otp", "otp") if code.isdigit() else ("mfa-recovery-code", "recovery_code")
        form = {"grant_type": f"urn:comanda:params:oauth:grant-type:{kind}", "mfa_token": mfa_token, name: code}
        return self.request("auth", "POST", "/auth/token", data=form)

    def _second_step_as_page(self, mfa_token: str, code: str) -> httpx2.Response:
        name = "codigo" if code.isdigit() else "codigo_de_recuperacion"
        return self.request("auth", "POST", "/auth/sesion", json={"mfa_token": mfa_token, name: code})

    def close(self) -> None:
        self._client.close()

    def _patiently(self, service: str, path: str, params: Mapping[str, Any]) -> httpx2.Response:
        for _ in range(BUSY_TRIES - 1):
            try:
                answer = self.request(service, "GET", path, params=params)
                if answer.status_code not in (429, 503):
                    return answer
            except Unreachable:
                pass
            time.sleep(BUSY_PAUSE_SECONDS)
        return self.request(service, "GET", path, params=params)


def addresses(variables: Mapping[str, str]) -> dict[str, str]:
    return {service: environment.address(variables, service) for service in environment.SERVICES}


def slug(answer: httpx2.Response) -> str:
    """Which problem (RFC 9457) an answer tells of; empty if it tells of none."""
    if "json" not in answer.headers.get("content-type", ""):
        return ""
    document = answer.json()
    return str(document.get("type", "")).rpartition("/")[2] if isinstance(document, dict) else ""
