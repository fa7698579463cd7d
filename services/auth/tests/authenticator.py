"""An authenticator app, and the two steps of a log-in, as the tests of the second factor use them."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from comanda.testing import FakeClock

OTP = "urn:comanda:params:oauth:grant-type:mfa-otp"
RECOVERY_CODE = "urn:comanda:params:oauth:grant-type:mfa-recovery-code"
PASSWORD = "caballo correcto"


class App:
    """Shows codes for a secret, by a clock that may differ from the service's."""

    def __init__(self, secreto: bytes, clock: FakeClock, algoritmo: str = "SHA1") -> None:
        self.secreto = secreto
        algorithm = SHA256() if algoritmo == "SHA256" else SHA1()  # noqa: S303  # what apps do
        self._totp = TOTP(secreto, 6, algorithm, 30)
        self._clock = clock

    def codigo(self, *, desfase: float = 0) -> str:
        return self._totp.generate(int(self._clock.now().timestamp() + desfase)).decode()

    def incorrecto(self) -> str:
        """Six digits that are right at no moment within an hour."""
        right = {self.codigo(desfase=30 * step) for step in range(-120, 121)}
        return next(code for code in (f"{n:06}" for n in range(1_000_000)) if code not in right)


async def pedir_mfa_token(api: Any, username: str = "ana@ejemplo.es", password: str = PASSWORD, **extra: str) -> str:
    response = await api.pedir_token(username, password, **extra)
    assert (response.status_code, response.json()["error"]) == (400, "mfa_required"), response.text
    return str(response.json()["mfa_token"])


async def completar(http: Any, mfa_token: str, otp: str, **extra: str) -> Any:
    form = {"grant_type": OTP, "mfa_token": mfa_token, "otp": otp, **extra}
    return await http.post("/auth/token", data=form)


async def recuperar(http: Any, mfa_token: str, recovery_code: str) -> Any:
    form = {"grant_type": RECOVERY_CODE, "mfa_token": mfa_token, "recovery_code": recovery_code}
    return await http.post("/auth/token", data=form)


def bearer(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def claims(tokens: Any) -> dict[str, Any]:
    payload = tokens["access_token"].split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


class Ana:
    """A user with an account, and after `activar` with a second factor."""

    def __init__(
        self,
        api: Any,
        clock: FakeClock,
        usuario: dict[str, Any],
        email: str = "ana@ejemplo.es",
        password: str = PASSWORD,
    ) -> None:
        self.api, self.clock, self.usuario = api, clock, usuario
        self.email, self.password = email, password
        self.headers: dict[str, str] = {}
        self.codigos: list[str] = []

    async def preparar(self) -> Any:
        self.headers = await self.api.cabeceras(self.email, self.password)
        response = await self.post("", password=self.password)
        assert response.status_code == 201, response.text
        (algoritmo,) = parse_qs(urlsplit(response.json()["uri"]).query)["algorithm"]
        self.app = App(base64.b32decode(response.json()["secreto"]), self.clock, algoritmo)
        return response

    async def activar(self) -> "Ana":
        await self.preparar()
        response = await self.post("/confirmar", codigo=self.app.codigo())
        assert response.status_code == 200, response.text
        self.codigos = response.json()["codigos_recuperacion"]
        self.clock.advance(30)  # that code is spent
        return self

    async def post(self, path: str, **body: Any) -> Any:
        return await self.api.http.post(f"/auth/yo/totp{path}", json=body, headers=self.headers)

    async def estado(self) -> Any:
        return (await self.api.http.get("/auth/yo/totp", headers=self.headers)).json()

    async def pedir_mfa_token(self, **extra: str) -> str:
        return await pedir_mfa_token(self.api, self.email, self.password, **extra)

    async def entrar(self, **extra: str) -> Any:
        response = await completar(self.api.http, await self.pedir_mfa_token(**extra), self.app.codigo())
        assert response.status_code == 200, response.text
        self.clock.advance(30)
        return response.json()
