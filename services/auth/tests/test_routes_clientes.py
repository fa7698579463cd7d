"""The contract of `/auth/clientes`, as an administrator meets it, and of the tokens of service accounts."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
import structlog
from auth_internals import entrar
from joserfc import jws
from joserfc.jwk import KeySet

from comanda.auth.domain import ALCANCES
from comanda.auth.domain_clientes import ALCANCES_DE_SERVICIO
from comanda.testing import FakeClock, fields, problem

PATH = "/auth/clientes"
ERP = {"nombre": "ERP", "alcances": ["inventario:leer", "inventario:escribir"]}
SCOPE = "inventario:leer inventario:escribir"
HOURS = 3600


async def crear(api: Any, **changes: Any) -> dict[str, Any]:
    response = await api.http.post(PATH, json=ERP | changes, headers=await api.de_admin())
    assert response.status_code == 201, response.text
    return dict(response.json())


async def rotar(api: Any, cliente_id: str, **body: Any) -> Any:
    return await api.http.post(f"{PATH}/{cliente_id}/secreto", json=body or None, headers=await api.de_admin())


async def pedir(api: Any, cliente_id: str, secreto: str, **extra: str) -> Any:
    form = {"grant_type": "client_credentials", "client_id": cliente_id, "client_secret": secreto}
    return await api.http.post("/auth/token", data=form | extra)


async def token(api: Any, cliente: dict[str, Any], **extra: str) -> dict[str, str]:
    response = await pedir(api, cliente["id"], cliente["client_secret"], **extra)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


def basic(cliente_id: str, secreto: str) -> dict[str, str]:
    joined = f"{quote_plus(cliente_id)}:{quote_plus(secreto)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(joined).decode()}"}


def refusal(response: Any, status: int = 401) -> str:
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Basic")
    return str(response.json()["error"])


class TestCrear:
    async def test_el_secreto_se_ve_una_vez(self, api: Any, clock: FakeClock) -> None:
        headers = await api.de_admin()
        response = await api.http.post(PATH, json=ERP, headers=headers)
        cliente = response.json()
        assert response.status_code == 201
        assert response.headers["location"] == f"{PATH}/{cliente['id']}"
        assert response.headers["cache-control"] == "no-store"
        secreto = cliente.pop("client_secret")
        assert secreto.startswith("cmd_")
        assert len(base64.urlsafe_b64decode(secreto.removeprefix("cmd_") + "=")) == 32
        creado_en = clock.now().isoformat().replace("+00:00", "Z")
        assert cliente == {"id": cliente["id"], **ERP, "activo": True, "creado_en": creado_en, "ultimo_uso": None}
        read = await api.http.get(response.headers["location"], headers=headers)
        assert read.json() == cliente
        assert read.headers["etag"] == response.headers["etag"] == '"1"'
        listed = await api.http.get(PATH, headers=headers)
        assert listed.json() == {"elementos": [cliente], "siguiente": None}

    async def test_los_alcances_son_un_conjunto(self, api: Any) -> None:
        cliente = await crear(api, alcances=["inventario:escribir", "inventario:leer", "inventario:escribir"])
        assert cliente["alcances"] == ["inventario:leer", "inventario:escribir"]

    @pytest.mark.parametrize("alcance", ["usuarios:gestionar", "reservas:escribir", "no-existe", "", "a b"])
    async def test_no_todo_se_puede_dar(self, api: Any, alcance: str) -> None:
        headers = await api.de_admin()
        body = ERP | {"alcances": ["inventario:leer", alcance]}
        response = await api.http.post(PATH, json=body, headers=headers)
        assert (response.status_code, fields(response)) == (422, {"alcances.1"})
        assert "Una cuenta de servicio solo puede tener: " in response.text
        cliente = await crear(api)
        response = await api.http.patch(f"{PATH}/{cliente['id']}", json={"alcances": [alcance]}, headers=headers)
        assert (response.status_code, fields(response)) == (422, {"alcances.0"})

    async def test_todo_lo_demas_si(self, api: Any) -> None:
        cliente = await crear(api, alcances=[*ALCANCES_DE_SERVICIO])
        assert {*ALCANCES["admin"]} - {*cliente["alcances"]} == {"usuarios:gestionar"}

    async def test_datos_malos(self, api: Any) -> None:
        headers = await api.de_admin()
        for body in [
            {"nombre": "ERP"},
            {"alcances": ["inventario:leer"]},
            ERP | {"nombre": ""},
            ERP | {"nombre": " ERP"},
            ERP | {"nombre": "a\0b"},
            ERP | {"nombre": "a" * 201},
            ERP | {"alcances": []},
            ERP | {"alcances": "inventario:leer"},
            ERP | {"client_secret": "cmd_el_mio"},
        ]:
            response = await api.http.post(PATH, json=body, headers=headers)
            assert (response.status_code, problem(response)) == (422, "datos-invalidos"), body
        assert (await api.http.get(PATH, headers=headers)).json()["elementos"] == []


class TestQuien:
    async def answers(self, api: Any, cliente_id: str, headers: dict[str, str]) -> list[Any]:
        path = f"{PATH}/{cliente_id}"
        return [
            await api.http.post(PATH, json=ERP, headers=headers),
            await api.http.patch(path, json={"nombre": "mío"}, headers=headers),
            await api.http.post(f"{path}/secreto", headers=headers),
            await api.http.delete(path, headers=headers),
        ]

    async def reads(self, api: Any, cliente_id: str, headers: dict[str, str]) -> list[Any]:
        return [await api.http.get(path, headers=headers) for path in (PATH, f"{PATH}/{cliente_id}")]

    async def test_ni_un_cliente_ni_una_cuenta_de_servicio(self, api: Any) -> None:
        await api.registrar()
        cliente = await crear(api, alcances=[*ALCANCES_DE_SERVICIO])
        for headers in (await api.cabeceras(), await token(api, cliente)):
            for call in (self.answers, self.reads):
                for response in await call(api, cliente["id"], headers):
                    assert (response.status_code, problem(response)) == (403, "no-autorizado")
        await token(api, cliente)

    async def test_sin_token(self, api: Any) -> None:
        for response in await self.answers(api, str(uuid4()), {}):
            assert (response.status_code, problem(response)) == (401, "no-autenticado")

    @pytest.mark.parametrize("caida", [{"rol": "cliente"}, {"activo": False}])
    async def test_quien_fue_admin_no_deja_cuentas_tras_de_si(self, api: Any, caida: dict[str, Any]) -> None:
        otra = await api.otro_admin("otra@ejemplo.es")
        cliente = await crear(api)
        stale = await api.cabeceras("otra@ejemplo.es")
        headers = await api.de_admin()
        await api.http.patch(f"/auth/usuarios/{otra['id']}", json=caida, headers=headers)
        assert {response.status_code for response in await self.answers(api, cliente["id"], stale)} == {401}
        listed = (await api.http.get(PATH, headers=headers)).json()["elementos"]
        assert [(one["nombre"], one["activo"]) for one in listed] == [("ERP", True)]


class TestListar:
    async def test_por_paginas(self, api: Any, clock: FakeClock) -> None:
        for n in range(3):
            clock.advance(1)
            await crear(api, nombre=f"ERP {n}")
        headers = await api.de_admin()
        first = await api.http.get(f"{PATH}?limite=2", headers=headers)
        assert [one["nombre"] for one in first.json()["elementos"]] == ["ERP 0", "ERP 1"]
        second = await api.http.get(first.links["next"]["url"], headers=headers)
        assert [one["nombre"] for one in second.json()["elementos"]] == ["ERP 2"]
        assert second.json()["siguiente"] is None


class TestConsultarYModificar:
    async def test_cambia_y_los_tokens_nuevos_lo_notan(self, api: Any) -> None:
        cliente = await crear(api)
        path, headers = f"{PATH}/{cliente['id']}", await api.de_admin()
        body = {"nombre": "Almacén", "alcances": ["inventario:leer"]}
        response = await api.http.patch(path, json=body, headers=headers | {"If-Match": '"1"'})
        assert (response.status_code, response.headers["etag"]) == (200, '"2"')
        assert response.json() == {key: cliente[key] for key in cliente if key != "client_secret"} | body
        assert (await pedir(api, cliente["id"], cliente["client_secret"])).json()["scope"] == "inventario:leer"
        stale = await api.http.patch(path, json={"nombre": "x"}, headers=headers | {"If-Match": '"1"'})
        assert (stale.status_code, problem(stale)) == (412, "version-obsoleta")
        assert (await api.http.get(path, headers=headers | {"If-None-Match": '"2"'})).status_code == 304

    async def test_lo_que_no_se_nombra_queda(self, api: Any) -> None:
        cliente = await crear(api)
        path, headers = f"{PATH}/{cliente['id']}", await api.de_admin()
        assert (await api.http.patch(path, json={"nombre": "Otro"}, headers=headers)).json()["alcances"] == [
            *ERP["alcances"]
        ]
        same = await api.http.patch(path, json={"nombre": "Otro"}, headers=headers)
        assert same.headers["etag"] == '"2"'
        for body in ({"nombre": None}, {"alcances": None}, {"alcances": []}, {"activo": True}):
            assert (await api.http.patch(path, json=body, headers=headers)).status_code == 422

    async def test_el_uso_no_cambia_la_version(self, api: Any) -> None:
        cliente = await crear(api)
        await token(api, cliente)
        headers = await api.de_admin() | {"If-Match": '"1"'}
        changed = await api.http.patch(f"{PATH}/{cliente['id']}", json={"nombre": "Otro"}, headers=headers)
        assert changed.status_code == 200
        assert changed.json()["ultimo_uso"] is not None

    async def test_nadie(self, api: Any) -> None:
        path, headers = f"{PATH}/{uuid4()}", await api.de_admin()
        for response in (
            await api.http.get(path, headers=headers),
            await api.http.patch(path, json={"nombre": "x"}, headers=headers),
            await api.http.post(f"{path}/secreto", headers=headers),
            await api.http.delete(path, headers=headers),
        ):
            assert (response.status_code, problem(response)) == (404, "no-encontrado")


class TestRotar:
    async def test_el_anterior_vale_un_dia_mas(self, api: Any, clock: FakeClock) -> None:
        cliente = await crear(api)
        response = await rotar(api, cliente["id"])
        assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
        assert response.json().keys() == {"client_secret"}
        nuevo = response.json()["client_secret"]
        clock.advance(24 * HOURS - 1)
        for secreto in (cliente["client_secret"], nuevo):
            assert (await pedir(api, cliente["id"], secreto)).status_code == 200
        clock.advance(1)
        assert refusal(await pedir(api, cliente["id"], cliente["client_secret"])) == "invalid_client"
        assert (await pedir(api, cliente["id"], nuevo)).status_code == 200

    async def test_inmediato(self, api: Any) -> None:
        cliente = await crear(api)
        await rotar(api, cliente["id"])
        nuevo = (await rotar(api, cliente["id"], inmediato=True)).json()["client_secret"]
        assert refusal(await pedir(api, cliente["id"], cliente["client_secret"])) == "invalid_client"
        assert (await pedir(api, cliente["id"], nuevo)).status_code == 200

    async def test_quien_perdio_la_respuesta_repite(self, api: Any, clock: FakeClock) -> None:
        cliente = await crear(api)
        await rotar(api, cliente["id"])  # nobody read the answer
        clock.advance(HOURS)
        nuevo = (await rotar(api, cliente["id"])).json()["client_secret"]
        clock.advance(23 * HOURS - 1)
        assert (await pedir(api, cliente["id"], cliente["client_secret"])).status_code == 200
        clock.advance(1)  # a repetition does not prolong what the first rotation has ended
        assert refusal(await pedir(api, cliente["id"], cliente["client_secret"])) == "invalid_client"
        assert (await pedir(api, cliente["id"], nuevo)).status_code == 200

    async def test_no_sin_fin(self, api: Any, clock: FakeClock) -> None:
        cliente = await crear(api)
        assert {(await rotar(api, cliente["id"])).status_code for _ in range(9)} == {200}
        response = await rotar(api, cliente["id"])
        assert (response.status_code, problem(response)) == (409, "demasiados-secretos")
        assert "inmediato" in response.json()["detail"]
        assert (await pedir(api, cliente["id"], cliente["client_secret"])).status_code == 200
        clock.advance(24 * HOURS)
        assert (await rotar(api, cliente["id"])).status_code == 200

    async def test_datos_malos(self, api: Any) -> None:
        cliente = await crear(api)
        for body in ({"inmediato": "true"}, {"inmediato": None}, {"secreto": "x"}):
            assert (await rotar(api, cliente["id"], **body)).status_code == 422


class TestRevocar:
    async def test_para_siempre_y_sigue_en_la_lista(self, api: Any) -> None:
        cliente = await crear(api)
        nuevo = (await rotar(api, cliente["id"])).json()["client_secret"]
        path, headers = f"{PATH}/{cliente['id']}", await api.de_admin()
        response = await api.http.delete(path, headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        for secreto in (cliente["client_secret"], nuevo):
            assert refusal(await pedir(api, cliente["id"], secreto)) == "invalid_client"
        (listed,) = (await api.http.get(PATH, headers=headers)).json()["elementos"]
        assert (listed["id"], listed["activo"]) == (cliente["id"], False)
        for answer in (
            await api.http.patch(path, json={"nombre": "x"}, headers=headers),
            await rotar(api, cliente["id"]),
        ):
            assert (answer.status_code, problem(answer)) == (409, "cliente-revocado")
        assert (await api.http.delete(path, headers=headers)).status_code == 204

    async def test_con_la_version_vieja(self, api: Any) -> None:
        cliente = await crear(api)
        headers = await api.de_admin() | {"If-Match": '"7"'}
        response = await api.http.delete(f"{PATH}/{cliente['id']}", headers=headers)
        assert (response.status_code, problem(response)) == (412, "version-obsoleta")
        await token(api, cliente)


class TestToken:
    async def test_el_token_es_el_de_rfc_9068(self, api: Any, clock: FakeClock) -> None:
        cliente = await crear(api)
        response = await pedir(api, cliente["id"], cliente["client_secret"])
        answer = response.json()
        assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("bearer", 900, SCOPE)
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        keys = KeySet.import_key_set((await api.http.get("/.well-known/jwks.json")).json())
        signed = jws.deserialize_compact(answer["access_token"], keys, algorithms=["ES256"])
        assert signed.headers()["typ"] == "at+jwt"
        claims, now = json.loads(signed.payload), int(clock.now().timestamp())
        assert claims == {
            "iss": "http://127.0.0.1:8000",
            "sub": cliente["id"],
            "aud": "comanda",
            "iat": now,
            "exp": now + 900,
            "jti": claims["jti"],
            "client_id": cliente["id"],
            "scope": SCOPE,
        }

    async def test_con_basic(self, api: Any) -> None:
        cliente = await crear(api)
        headers = basic(cliente["id"], cliente["client_secret"])
        for extra in ({}, {"client_id": cliente["id"]}):
            form = {"grant_type": "client_credentials", **extra}
            assert (await api.http.post("/auth/token", data=form, headers=headers)).status_code == 200
        # every letter may be form-urlencoded inside Basic (RFC 6749 §2.3.1)
        encoded = "".join(f"%{ord(letter):02x}" for letter in cliente["client_secret"])
        joined = base64.b64encode(f"{cliente['id']}:{encoded}".encode()).decode()
        form = {"grant_type": "client_credentials"}
        headers = {"Authorization": f"basic {joined}"}
        assert (await api.http.post("/auth/token", data=form, headers=headers)).status_code == 200

    async def test_de_dos_maneras_a_la_vez(self, api: Any) -> None:
        cliente = await crear(api)
        headers = basic(cliente["id"], cliente["client_secret"])
        for extra in ({"client_secret": cliente["client_secret"]}, {"client_id": str(uuid4())}):
            form = {"grant_type": "client_credentials", **extra}
            response = await api.http.post("/auth/token", data=form, headers=headers)
            assert refusal(response, 400) == "invalid_request"

    @pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic YQ==", "Basic /w==", "Basic JUZGOiVGRg=="])
    async def test_un_basic_ilegible(self, api: Any, header: str) -> None:
        form = {"grant_type": "client_credentials"}
        response = await api.http.post("/auth/token", data=form, headers={"Authorization": header})
        assert refusal(response) == "invalid_client"

    async def test_sin_credenciales(self, api: Any) -> None:
        cliente = await crear(api)
        for extra in ({}, {"client_id": cliente["id"]}, {"client_secret": cliente["client_secret"]}):
            response = await api.http.post("/auth/token", data={"grant_type": "client_credentials", **extra})
            assert refusal(response) == "invalid_client"

    async def test_quien_no_existe_y_quien_se_equivoca_oyen_lo_mismo(self, api: Any) -> None:
        cliente, otro = await crear(api), await crear(api)
        answers = [
            await pedir(api, cliente["id"], "cmd_no_es_este"),
            await pedir(api, cliente["id"], otro["client_secret"]),
            await pedir(api, cliente["id"].upper(), cliente["client_secret"]),
            await pedir(api, str(uuid4()), cliente["client_secret"]),
            await pedir(api, "00000000-0000-0000-0000-000000000000", cliente["client_secret"]),
            await pedir(api, "comanda-web", "x"),
            await pedir(api, "ñ\0'--", "ñ" * 100_000),
        ]
        assert {refusal(answer) for answer in answers} == {"invalid_client"}
        assert len({answer.content for answer in answers}) == 1

    async def test_menos_alcance_si_y_mas_no(self, api: Any) -> None:
        cliente = await crear(api)
        narrow = await pedir(api, cliente["id"], cliente["client_secret"], scope="inventario:leer")
        assert narrow.json()["scope"] == "inventario:leer"
        for scope in ("inventario:leer productos:escribir", "usuarios:gestionar", "no-existe"):
            response = await pedir(api, cliente["id"], cliente["client_secret"], scope=scope)
            assert refusal(response, 400) == "invalid_scope"

    async def test_demasiados_intentos(self, api: Any, clock: FakeClock) -> None:
        cliente, otro = await crear(api), await crear(api)
        for _ in range(10):
            assert refusal(await pedir(api, cliente["id"], "cmd_no_es_este")) == "invalid_client"
        response = await pedir(api, cliente["id"], cliente["client_secret"])
        assert (response.status_code, problem(response)) == (429, "demasiados-intentos")
        assert response.headers["retry-after"] == "5"
        await token(api, otro)
        clock.advance(5)
        await token(api, cliente)

    async def test_no_sirve_para_entrar_como_usuario(self, api: Any) -> None:
        await api.registrar()
        cliente = await crear(api)
        form = {"grant_type": "password", "username": "ana@ejemplo.es", "password": "caballo correcto"}
        headers = basic(cliente["id"], cliente["client_secret"])
        assert refusal(await api.http.post("/auth/token", data=form, headers=headers)) == "invalid_client"
        assert refusal(await api.http.post("/auth/token", data=form | {"client_id": cliente["id"]})) == "invalid_client"

    async def test_no_tiene_cuenta_de_usuario(self, api: Any) -> None:
        headers = await token(api, await crear(api, alcances=[*ALCANCES_DE_SERVICIO]))
        password = {"actual": "caballo correcto", "nueva": "otra clave distinta"}
        for response in (
            await api.http.get("/auth/yo", headers=headers),
            await api.http.patch("/auth/yo", json={"nombre": "x"}, headers=headers),
            await api.http.post("/auth/yo/password", json=password, headers=headers),
        ):
            assert (response.status_code, problem(response)) == (403, "no-autorizado")
            assert "cuenta de servicio" in response.json()["detail"]

    async def test_sus_alcances_valen(self, api: Any) -> None:
        headers = await token(api, await crear(api, alcances=["operaciones:leer"]))
        assert (await api.http.get("/circuitos", headers=headers)).status_code == 200
        headers = await token(api, await crear(api))
        assert (await api.http.get("/circuitos", headers=headers)).status_code == 403

    async def test_el_ultimo_uso_es_de_un_minuto(self, api: Any, clock: FakeClock) -> None:
        cliente = await crear(api)
        seen = []
        for seconds in (10, 59, 1):
            clock.advance(seconds)
            await token(api, cliente)
            read = await api.http.get(f"{PATH}/{cliente['id']}", headers=await api.de_admin())
            seen.append(read.json()["ultimo_uso"])
        assert seen == ["2026-01-01T12:00:10Z", "2026-01-01T12:00:10Z", "2026-01-01T12:01:10Z"]


class TestRegistro:
    async def test_todo_queda_dicho_y_ningun_secreto(self, api: Any) -> None:
        headers = await entrar(api.http, "jefa@comanda.test", "la-clave-de-la-jefa")
        with structlog.testing.capture_logs() as lines:
            cliente = (await api.http.post(PATH, json=ERP, headers=headers)).json()
            path = f"{PATH}/{cliente['id']}"
            await api.http.patch(path, json={"nombre": "Otro"}, headers=headers)
            nuevo = (await api.http.post(f"{path}/secreto", headers=headers)).json()["client_secret"]
            await pedir(api, cliente["id"], cliente["client_secret"])
            await pedir(api, cliente["id"], "cmd_no_es_este")
            await pedir(api, nuevo, cliente["id"])  # the wrong way round
            await api.http.delete(path, headers=headers)
        said = [line for line in lines if line["event"].startswith("client_")]
        assert [(line["event"], line["client_id"]) for line in said] == [
            ("client_created", cliente["id"]),
            ("client_changed", cliente["id"]),
            ("client_secret_rotated", cliente["id"]),
            ("client_old_secret", cliente["id"]),
            ("client_refused", cliente["id"]),
            ("client_refused", None),
            ("client_revoked", cliente["id"]),
        ]
        assert {line["origen"] for line in said} == {"127.0.0.1"}
        assert not [line for line in lines if "cmd_" in str(line)]
