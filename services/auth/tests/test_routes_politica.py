"""Each way to choose a password asks the same policy."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from breaches import write_list
from mailed import EMAIL, PASSWORD, RESTABLECER, Recibir, enlace, olvidada, restablecer

from comanda.testing import problem

FILTRADA = "tres tigres en un trigal"
MALAS = {
    "password1234": "Es una de las contraseñas más usadas: elija otra.",
    "Panadería-2026": "Contiene «panaderia» y lo demás es fácil de adivinar: "
    "añada otras palabras, que no tengan que ver con la tienda ni con usted.",
    FILTRADA: "Ha aparecido en una filtración de otro sitio: elija otra, y cámbiela también donde la use.",
}

pytestmark = [pytest.mark.usefixtures("sin_bucle"), pytest.mark.parametrize("mala", MALAS)]


@pytest.fixture
def make_settings(make_settings: Any, tmp_path: Path) -> Any:
    return partial(
        make_settings, context_words="panadería", breached_passwords_file=write_list(tmp_path / "l", [FILTRADA])
    )


def refusal(response: Any) -> list[dict[str, str]]:
    assert (response.status_code, problem(response)) == (422, "datos-invalidos")
    return list(response.json()["errores"])


async def test_al_registrarse(api: Any, mala: str) -> None:
    response = await api.http.post("/auth/usuarios", json={"email": EMAIL, "password": mala})
    assert refusal(response) == [{"campo": "password", "mensaje": MALAS[mala]}]
    await api.registrar()  # the address is still free


async def test_al_cambiarla(api: Any, mala: str) -> None:
    await api.registrar()
    body = {"actual": PASSWORD, "nueva": mala}
    response = await api.http.post("/auth/yo/password", json=body, headers=await api.cabeceras())
    assert refusal(response) == [{"campo": "nueva", "mensaje": MALAS[mala]}]
    await api.entrar()


async def test_al_restablecerla(api: Any, recibir: Recibir, mala: str) -> None:
    await api.registrar()
    await olvidada(api)
    token = await enlace(recibir, RESTABLECER)
    assert refusal(await restablecer(api, token, mala)) == [{"campo": "nueva", "mensaje": MALAS[mala]}]
    assert (await restablecer(api, token, "otra muy distinta")).status_code == 204  # the link is still good
