"""What `GET /operacion` shows of auth."""

from typing import Any


async def test_las_colas_de_los_hashes(api: Any) -> None:
    headers = await api.de_admin()
    response = await api.http.get("/operacion", headers=headers)
    body = response.json()
    assert (response.status_code, body["servicio"], body["circuitos"]) == (200, "auth", [])
    queues = {cola["nombre"]: (cola["en_espera"], cola["maximo"]) for cola in body["colas"]}
    assert queues.pop("conexiones-base-de-datos", (0, 10))[1] == 10
    assert queues == {"hash-conocidos": (0, 256), "hash-desconocidos": (0, 256)}
    (row,) = body["peticiones"]["rutas"]
    assert (row["metodo"], row["ruta"], row["errores_por_segundo"]) == ("POST", "/auth/token", 0)
    assert row["p50"] is not None
    assert "fases" not in body


async def test_un_cliente_no_la_ve(api: Any) -> None:
    await api.registrar()
    assert (await api.http.get("/operacion", headers=await api.cabeceras())).status_code == 403
