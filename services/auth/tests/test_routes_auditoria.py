"""What auth's audit log tells: each security event and each write of an administrator."""

from typing import Any

from comanda.testing import FakeClock, problem

AUDITORIA = "/auth/auditoria"
PASSWORD = "caballo correcto"


async def apuntes(api: Any, headers: dict[str, str], **params: str) -> list[dict[str, Any]]:
    response = await api.http.get(AUDITORIA, headers=headers, params=params)
    assert response.status_code == 200, response.text
    return list(reversed(response.json()["elementos"]))


async def test_la_vida_de_una_cuenta(api: Any, clock: FakeClock) -> None:
    admin = await api.de_admin()
    ana = (await api.registrar())["id"]
    clock.advance(1)
    assert (await api.pedir_token(password="otra cosa distinta")).status_code == 400
    clock.advance(1)
    tokens = await api.entrar()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    clock.advance(1)
    wrong = {"actual": "no es esta clave", "nueva": "otra muy distinta"}
    assert (await api.http.post("/auth/yo/password", json=wrong, headers=headers)).status_code == 422
    clock.advance(1)
    right = wrong | {"actual": PASSWORD}
    assert (await api.http.post("/auth/yo/password", json=right, headers=headers)).status_code == 204
    clock.advance(1)
    for _ in range(2):
        change = await api.http.patch(f"/auth/usuarios/{ana}", json={"activo": False}, headers=admin)
        assert change.status_code == 200
    lines = await apuntes(api, admin, objeto=ana)
    assert [(line["suceso"], line["autor"]) for line in lines[:-1]] == [
        ("usuario_registrado", ""),
        ("login_fallido", ""),
        ("sesion_iniciada", ""),
        ("password_incorrecta", ana),
        ("password_cambiada", ana),
    ]
    assert (lines[-1]["suceso"], lines[-1]["detalle"]) == ("usuario_modificado", {"cambios": {"activo": False}})
    assert {line["origen"] for line in lines} == {"127.0.0.1"}
    assert all(line["peticion"] for line in lines)
    everything = (await api.http.get(AUDITORIA, headers=admin)).text
    for secret in (PASSWORD, "otra cosa distinta", "no es esta clave", "otra muy distinta", tokens["refresh_token"]):
        assert secret not in everything


async def test_sesiones(api: Any, clock: FakeClock) -> None:
    admin = await api.de_admin()
    ana = (await api.registrar())["id"]
    first, second, third = [await api.entrar() for _ in range(3)]
    await api.renovar(first["refresh_token"])
    clock.advance(60)
    assert (await api.renovar(first["refresh_token"])).status_code == 400
    clock.advance(1)
    assert (await api.http.post("/auth/revocar", data={"token": second["refresh_token"]})).status_code == 200
    clock.advance(1)
    headers = {"Authorization": f"Bearer {third['access_token']}"}
    own = (await api.http.get("/auth/yo/sesiones", headers=headers)).json()["elementos"][0]["id"]
    assert (await api.http.delete(f"/auth/yo/sesiones/{own}", headers=headers)).status_code == 204
    clock.advance(1)
    headers = await api.cabeceras()
    clock.advance(1)
    assert (await api.http.delete("/auth/yo/sesiones", headers=headers)).status_code == 204
    found = [line["suceso"] for line in await apuntes(api, admin)]
    assert found[-5:] == [
        "refresh_reutilizado",
        "sesion_terminada",
        "sesion_terminada",
        "sesion_iniciada",
        "sesiones_terminadas",
    ]
    about_ana = [line["suceso"] for line in await apuntes(api, admin, objeto=ana)]
    assert (about_ana.count("sesion_iniciada"), about_ana.count("sesion_terminada")) == (4, 2)
    assert "primer_admin_creado" in found


async def test_un_email_desconocido_no_se_apunta(api: Any) -> None:
    """Who types a password into the wrong field must not find it in a log."""
    assert (await api.pedir_token("mi-clave-secreta-en-el-campo@equivocado.es")).status_code == 400
    lines = await apuntes(api, await api.de_admin())
    assert ("login_fallido", "") in [(line["suceso"], line["objeto"]) for line in lines]
    assert "equivocado" not in str(lines)


async def test_solo_administradores(api: Any) -> None:
    await api.registrar()
    response = await api.http.get(AUDITORIA, headers=await api.cabeceras())
    assert (response.status_code, problem(response)) == (403, "no-autorizado")


async def test_cuentas_de_servicio(api: Any, clock: FakeClock) -> None:
    admin = await api.de_admin()
    body = {"nombre": "ERP", "alcances": ["inventario:leer"]}
    made = (await api.http.post("/auth/clientes", json=body, headers=admin)).json()
    path = f"/auth/clientes/{made['id']}"
    clock.advance(1)
    assert (await api.http.patch(path, json={"nombre": "Otro"}, headers=admin)).status_code == 200
    clock.advance(1)
    rotated = (await api.http.post(f"{path}/secreto", json={}, headers=admin)).json()["client_secret"]
    clock.advance(1)
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": "cmd_equivocado"}
    assert (await api.http.post("/auth/token", data=form)).status_code == 401
    clock.advance(1)
    assert (await api.http.delete(path, headers=admin)).status_code == 204
    lines = await apuntes(api, admin, objeto=made["id"])
    assert [line["suceso"] for line in lines] == [
        "cliente_creado",
        "cliente_modificado",
        "cliente_secreto_rotado",
        "cliente_rechazado",
        "cliente_revocado",
    ]
    for secret in (made["client_secret"], rotated, "cmd_equivocado"):
        assert secret not in str(lines)


async def test_claves_de_firma(api: Any) -> None:
    [line] = [a for a in await apuntes(api, await api.de_admin()) if a["suceso"] == "clave_creada"]
    jwks = (await api.http.get("/.well-known/jwks.json")).json()
    assert line["objeto"] == jwks["keys"][0]["kid"]
