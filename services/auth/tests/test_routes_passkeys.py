"""Passkeys, as a browser with an authenticator and as those who would use somebody else's see them."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from auth_internals import count, database, use_cases
from authenticator import Ana, bearer, claims
from llavero import USER_PRESENT, USER_VERIFIED, Llave, Llavero, b64, raw
from mailed import RESTABLECER, Recibir, enlace, olvidada, restablecer

from comanda.auth.app import administradores, create_app
from comanda.auth.tables import auditoria, familias, passkeys
from comanda.testing import FakeClock, fields, problem, running

EMAIL, PASSWORD = "ana@ejemplo.es", "caballo correcto"
YO, SESION = "/auth/yo/passkeys", "/auth/sesion/passkey"


class Persona:
    """Somebody with an account and a keyring."""

    def __init__(self, api: Any, email: str = EMAIL) -> None:
        self.api, self.email = api, email
        self.llavero = Llavero()
        self.headers: dict[str, str] = {}

    async def llegar(self) -> "Persona":
        self.usuario = await self.api.registrar(self.email)
        return await self.con_password()

    async def con_password(self) -> "Persona":
        self.headers = await self.api.cabeceras(self.email)
        return self

    async def pedir(self, password: str = PASSWORD, **extra: str) -> Any:
        body = {"password": password, **extra}
        return await self.api.http.post(f"{YO}/opciones", json=body, headers=self.headers)

    async def opciones(self, **extra: str) -> dict[str, Any]:
        response = await self.pedir(**extra)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def enviar(self, credencial: Mapping[str, str], nombre: str = "Portátil") -> Any:
        body = {"nombre": nombre, "credencial": credencial}
        return await self.api.http.post(YO, json=body, headers=self.headers)

    async def crear(self, nombre: str = "Portátil") -> Llave:
        llave, credencial = self.llavero.crear(await self.opciones())
        response = await self.enviar(credencial, nombre)
        assert response.status_code == 201, response.text
        return llave

    async def suyas(self) -> list[dict[str, Any]]:
        return list((await self.api.http.get(YO, headers=self.headers)).json()["elementos"])

    async def quitar(self, passkey_id: str) -> Any:
        return await self.api.http.delete(f"{YO}/{passkey_id}", headers=self.headers)


@pytest.fixture
async def persona(api: Any) -> Persona:
    return await Persona(api).llegar()


async def invitacion(api: Any) -> dict[str, Any]:
    response = await api.http.post(f"{SESION}/opciones")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def presentar(api: Any, credencial: Mapping[str, str], **headers: str) -> Any:
    api.http.cookies.clear()
    return await api.http.post(SESION, json={"credencial": credencial}, headers=headers)


async def entrar(api: Any, llavero: Llavero, llave: Llave, **changes: Any) -> Any:
    return await presentar(api, llavero.usar(llave, await invitacion(api), **changes))


def dentro(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return dict(response.json())


def fuera(response: Any) -> bool:
    assert "set-cookie" not in response.headers
    return (response.status_code, problem(response)) == (401, "passkey-incorrecta")


async def sucesos(api: Any) -> list[str]:
    async with database(api).read() as connection:
        return list((await connection.execute(sa.select(auditoria.c.suceso))).scalars())


class TestOpciones:
    async def test_lo_que_se_pide_al_navegador(self, persona: Persona) -> None:
        response = await persona.pedir()
        assert response.headers["cache-control"] == "no-store"
        public = response.json()["publicKey"]
        assert public["rp"] == {"id": "localhost", "name": "Comanda"}
        assert (public["user"]["name"], len(raw(public["user"]["id"]))) == (EMAIL, 16)
        assert public["authenticatorSelection"]["residentKey"] == "required"
        assert public["authenticatorSelection"]["userVerification"] == "required"
        assert (public["attestation"], public["timeout"]) == ("none", 300_000)

    async def test_las_que_ya_hay_no_se_hacen_otra_vez(self, persona: Persona) -> None:
        llave = await persona.crear()
        assert [one["id"] for one in (await persona.opciones())["publicKey"]["excludeCredentials"]] == [b64(llave.id)]

    async def test_con_otra_password(self, persona: Persona) -> None:
        response = await persona.pedir("no es esta")
        assert (response.status_code, fields(response)) == (422, {"password"})

    async def test_con_segundo_factor_hace_falta_el_codigo(self, con_factor: Ana, api: Any, clock: FakeClock) -> None:
        persona = Persona(api)
        persona.headers = bearer(await con_factor.entrar())
        assert fields(await persona.pedir()) == {"codigo"}
        assert fields(await persona.pedir(codigo=con_factor.app.incorrecto())) == {"codigo"}
        assert (await persona.pedir(codigo=con_factor.app.codigo())).status_code == 200


class TestRegistrar:
    async def test_queda_en_la_lista(self, persona: Persona, api: Any, clock: FakeClock) -> None:
        llave = await persona.crear("Móvil")
        (suya,) = await persona.suyas()
        assert suya.keys() == {"id", "nombre", "creada_en", "usada_en"}
        assert (suya["nombre"], suya["usada_en"]) == ("Móvil", None)
        dentro(await entrar(api, persona.llavero, llave))
        assert (await persona.suyas())[0]["usada_en"] is not None
        assert "passkey_creada" in await sucesos(api)

    async def test_si_la_respuesta_se_pierde_otra_vez_es_la_misma(self, persona: Persona, api: Any) -> None:
        _, credencial = persona.llavero.crear(await persona.opciones())
        first, again = await persona.enviar(credencial), await persona.enviar(credencial)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert (await sucesos(api)).count("passkey_creada") == 1

    async def test_a_la_vez_queda_una(self, persona: Persona, api: Any) -> None:
        _, credencial = persona.llavero.crear(await persona.opciones())
        answers = await asyncio.gather(*(persona.enviar(credencial) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {201}
        assert await count(api, passkeys) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"origin": "http://localhost.evil.test"},
            {"origin": "https://localhost"},
            {"origin": "http://localhost:8081"},
            {"rp_id": "evil.test"},
            {"challenge": b64(b"x" * 32)},
            {"challenge": "ñ"},
            {"type": "webauthn.get"},
            {"flags": USER_PRESENT},
            {"flags": USER_VERIFIED},
            {"fmt": "fido-u2f"},
            {"fmt": "packed"},
            {"fmt": 7},
        ],
        ids=range(12),
    )
    async def test_lo_que_no_es_de_nuestra_pagina(self, persona: Persona, api: Any, changes: dict[str, Any]) -> None:
        _, credencial = persona.llavero.crear(await persona.opciones(), **changes)
        response = await persona.enviar(credencial)
        assert (response.status_code, fields(response)) == (422, {"credencial"})
        assert await count(api, passkeys) == 0

    @pytest.mark.parametrize("name", ["id", "client_data_json", "attestation_object"])
    async def test_basura(self, persona: Persona, api: Any, name: str) -> None:
        _, credencial = persona.llavero.crear(await persona.opciones())
        right = raw(credencial[name])
        for wrong in ("A", "AAAA", b64(right[:-1]), b64(bytes([right[0] ^ 1]) + right[1:])):
            response = await persona.enviar(credencial | {name: wrong})
            assert (response.status_code, fields(response)) == (422, {"credencial"}), wrong
        assert await count(api, passkeys) == 0

    async def test_un_reto_caduca(self, persona: Persona, clock: FakeClock) -> None:
        opciones = await persona.opciones()
        clock.advance(300)
        assert (await persona.enviar(persona.llavero.crear(opciones)[1])).status_code == 201
        clock.advance(1)
        assert fields(await persona.enviar(persona.llavero.crear(opciones)[1])) == {"credencial"}

    async def test_el_reto_de_otra_persona_o_de_entrar(self, persona: Persona, api: Any) -> None:
        eva = await Persona(api, "eva@ejemplo.es").llegar()
        challenge = (await invitacion(api))["publicKey"]["challenge"]
        for changes in ({"challenge": (await eva.opciones())["publicKey"]["challenge"]}, {"challenge": challenge}):
            _, credencial = persona.llavero.crear(await persona.opciones(), **changes)
            assert fields(await persona.enviar(credencial)) == {"credencial"}

    async def test_cambiada_la_password_el_reto_ya_no_vale(self, persona: Persona, api: Any) -> None:
        _, credencial = persona.llavero.crear(await persona.opciones())
        body = {"actual": PASSWORD, "nueva": "otra muy distinta"}
        assert (await api.http.post("/auth/yo/password", json=body, headers=persona.headers)).status_code == 204
        assert fields(await persona.enviar(credencial)) == {"credencial"}

    async def test_la_que_ya_es_de_otra_persona(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        eva = await Persona(api, "eva@ejemplo.es").llegar()
        _, credencial = eva.llavero.crear(await eva.opciones(), llave={"id": llave.id})
        response = await eva.enviar(credencial)
        assert (response.status_code, problem(response)) == (409, "passkey-repetida")
        assert await eva.suyas() == []

    async def test_diez_y_no_mas(self, persona: Persona) -> None:
        prepared = [persona.llavero.crear(await persona.opciones())[1] for _ in range(11)]
        answers = [await persona.enviar(credencial) for credencial in prepared]
        assert [answer.status_code for answer in answers] == [201] * 10 + [409]
        assert problem(answers[-1]) == problem(await persona.pedir()) == "demasiadas-passkeys"

    async def test_su_dueno_recibe_un_aviso(self, persona: Persona, sin_bucle: None, recibir: Recibir) -> None:
        await recibir()
        await persona.crear()
        last = (await recibir())[-1]
        assert (last["To"], last["Subject"]) == (EMAIL, "Una llave de acceso nueva para su cuenta")


class TestEntrar:
    async def test_sin_password_y_como_con_dos_factores(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        response = await entrar(api, persona.llavero, llave)
        body = dentro(response)
        assert claims(body)["amr"] == ["mfa", "user"]
        assert (await api.http.get("/auth/yo", headers=bearer(body))).json()["email"] == EMAIL
        ((name, morsel),) = SimpleCookie(response.headers["set-cookie"]).items()
        assert (name, morsel["httponly"], morsel["samesite"]) == ("comanda_sesion", True, "Strict")
        renewed = await api.renovar(morsel.value)
        assert claims(renewed.json())["amr"] == ["mfa", "user"]

    async def test_la_sesion_anterior_de_la_cookie_termina(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        before = await api.entrar(EMAIL)
        await presentar(
            api,
            persona.llavero.usar(llave, await invitacion(api)),
            Cookie=f"comanda_sesion={before['refresh_token']}",
        )
        assert (await api.renovar(before["refresh_token"])).json()["error"] == "invalid_grant"

    async def test_la_invitacion_no_nombra_a_nadie(self, persona: Persona, api: Any) -> None:
        before = (await invitacion(api))["publicKey"]
        await persona.crear()
        after = (await invitacion(api))["publicKey"]
        assert before.pop("challenge") != after.pop("challenge")
        assert (
            before
            == after
            == {
                "rpId": "localhost",
                "timeout": 300_000,
                "allowCredentials": [],
                "userVerification": "required",
            }
        )

    @pytest.mark.parametrize(
        "changes",
        [
            {"origin": "http://localhost.evil.test"},
            {"origin": "http://127.0.0.1:8000:1"},
            {"rp_id": "evil.test"},
            {"challenge": b64(b"x" * 32)},
            {"type": "webauthn.create"},
            {"flags": USER_PRESENT},
            {"flags": USER_VERIFIED},
            {"user_handle": b64(uuid4().bytes)},
            {"user_handle": "A"},
        ],
        ids=range(9),
    )
    async def test_lo_que_no_es_de_nuestra_pagina(self, persona: Persona, api: Any, changes: dict[str, Any]) -> None:
        llave = await persona.crear()
        assert fuera(await entrar(api, persona.llavero, llave, **changes))
        dentro(await entrar(api, persona.llavero, llave))

    @pytest.mark.parametrize("name", ["id", "client_data_json", "authenticator_data", "signature"])
    async def test_basura(self, persona: Persona, api: Any, name: str) -> None:
        llave = await persona.crear()
        credencial = persona.llavero.usar(llave, await invitacion(api))
        right = raw(credencial[name])
        for wrong in ("A", "AAAA", b64(right[:-1]), b64(right + b"\0"), b64(bytes([right[0] ^ 1]) + right[1:])):
            assert fuera(await presentar(api, credencial | {name: wrong})), wrong

    async def test_una_desconocida_y_una_mal_firmada_oyen_lo_mismo(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        stranger = Llave(llave.user_handle, llave.rp_id)
        forged = Llave(llave.user_handle, llave.rp_id, id=llave.id)
        answers = [await entrar(api, persona.llavero, wrong) for wrong in (stranger, forged)]
        assert all(map(fuera, answers))
        assert answers[0].json() == answers[1].json()

    async def test_con_la_llave_de_una_persona_no_entra_otra(self, persona: Persona, api: Any) -> None:
        ana, eva = await persona.crear(), await (await Persona(api, "eva@ejemplo.es").llegar()).crear()
        assert fuera(await entrar(api, persona.llavero, ana, user_handle=eva.user_handle))
        credencial = persona.llavero.usar(ana, await invitacion(api), user_handle=eva.user_handle)
        assert fuera(await presentar(api, credencial | {"id": b64(eva.id)}))

    async def test_una_respuesta_vale_una_vez(self, persona: Persona, api: Any, clock: FakeClock) -> None:
        llave = await persona.crear()
        earlier = await invitacion(api)
        clock.advance(1)
        credencial = persona.llavero.usar(llave, await invitacion(api))
        dentro(await presentar(api, credencial))
        assert fuera(await presentar(api, credencial))
        assert fuera(await presentar(api, persona.llavero.usar(llave, earlier)))
        clock.advance(1)
        dentro(await entrar(api, persona.llavero, llave))

    async def test_de_varias_a_la_vez_vale_una(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        credencial = persona.llavero.usar(llave, await invitacion(api))
        sessions = await count(api, familias)
        answers = await asyncio.gather(*(presentar(api, credencial) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
        assert await count(api, familias) == sessions + 1

    async def test_un_reto_caduca(self, persona: Persona, api: Any, clock: FakeClock) -> None:
        llave = await persona.crear()
        opciones = await invitacion(api)
        clock.advance(300)
        late = await invitacion(api)
        dentro(await presentar(api, persona.llavero.usar(llave, opciones)))
        clock.advance(301)
        assert fuera(await presentar(api, persona.llavero.usar(llave, late)))

    async def test_un_reto_de_registrar(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        assert fuera(await presentar(api, persona.llavero.usar(llave, await persona.opciones())))

    async def test_un_contador_que_retrocede(self, persona: Persona, api: Any, clock: FakeClock) -> None:
        persona.llavero.cuenta = True
        llave = await persona.crear()
        for _ in range(2):
            dentro(await entrar(api, persona.llavero, llave))
            clock.advance(1)
        for contador in (1, 0, -1):  # used as 2, 1 and 0: not more than 2
            llave.contador = contador
            assert fuera(await entrar(api, persona.llavero, llave))
            clock.advance(1)
        assert (await sucesos(api)).count("passkey_copiada") == 3
        llave.contador = 2
        dentro(await entrar(api, persona.llavero, llave))

    async def test_desactivada(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        path = f"/auth/usuarios/{persona.usuario['id']}"
        await api.http.patch(path, json={"activo": False}, headers=await api.de_admin())
        assert fuera(await entrar(api, persona.llavero, llave))

    async def test_lo_que_falla_cuenta_contra_el_lugar(
        self, make_settings: Any, clock: FakeClock, persona: Persona
    ) -> None:
        wrong = Persona(persona.api).llavero.usar(Llave("AAAA", "localhost"), await invitacion(persona.api))
        settings = make_settings(login_attempts_per_source_per_minute=3)
        async with running(create_app(settings, clock=clock)) as http:
            answers = [await http.post(SESION, json={"credencial": wrong}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert int(answers[-1].headers["retry-after"]) > 0

    async def test_una_pagina_ajena_no(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        credencial = persona.llavero.usar(llave, await invitacion(api))
        response = await presentar(api, credencial, Origin="http://evil.test")
        assert (response.status_code, problem(response)) == (403, "origen-no-permitido")

    async def test_con_https_es_de_la_direccion_publica(self, make_settings: Any, clock: FakeClock) -> None:
        settings = make_settings(issuer="https://api.tienda.es", public_url="https://Tienda.es:443/inicio")
        async with running(create_app(settings, clock=clock)) as http:
            await http.post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})
            form = {"grant_type": "password", "username": EMAIL, "password": PASSWORD}
            headers = bearer((await http.post("/auth/token", data=form)).json())
            opciones = (await http.post(f"{YO}/opciones", json={"password": PASSWORD}, headers=headers)).json()
            assert opciones["publicKey"]["rp"]["id"] == "tienda.es"
            for origin, status in (("http://localhost", 422), ("https://tienda.es", 201)):
                _, credencial = Llavero(origin).crear(opciones)
                body = {"nombre": "x", "credencial": credencial}
                assert (await http.post(YO, json=body, headers=headers)).status_code == status

    async def test_vale_donde_se_exige_el_segundo_factor(self, make_settings: Any, clock: FakeClock, api: Any) -> None:
        llave = await (await Persona(api).llegar()).crear()
        async with running(create_app(make_settings(mfa_required=True), clock=clock)) as http:
            opciones = (await http.post(f"{SESION}/opciones")).json()
            response = await http.post(SESION, json={"credencial": Llavero().usar(llave, opciones)})
            assert "pedidos:crear" in dentro(response)["scope"]


class TestQuitar:
    async def test_no_entra_mas_y_las_demas_sesiones_terminan(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        other = await api.entrar(EMAIL)
        (suya,) = await persona.suyas()
        assert (await persona.quitar(suya["id"])).status_code == 204
        assert fuera(await entrar(api, persona.llavero, llave))
        assert (await api.renovar(other["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await api.http.get("/auth/yo", headers=persona.headers)).status_code == 200
        assert "passkey_quitada" in await sucesos(api)
        assert (await persona.quitar(suya["id"])).status_code == 404

    async def test_la_de_otra_persona_no(self, persona: Persona, api: Any) -> None:
        await persona.crear()
        (suya,) = await persona.suyas()
        eva = await Persona(api, "eva@ejemplo.es").llegar()
        assert (await eva.quitar(suya["id"])).status_code == 404
        assert len(await persona.suyas()) == 1

    async def test_solo_poco_despues_de_entrar(self, persona: Persona, api: Any, clock: FakeClock) -> None:
        await persona.crear()
        (suya,) = await persona.suyas()
        clock.advance(timedelta(minutes=14).total_seconds())
        response = await persona.quitar(suya["id"])
        assert (response.status_code, problem(response)) == (401, "autenticacion-reciente-requerida")
        await persona.con_password()
        assert (await persona.quitar(suya["id"])).status_code == 204

    async def test_una_password_restablecida_las_quita(
        self, persona: Persona, api: Any, sin_bucle: None, recibir: Recibir
    ) -> None:
        llave = await persona.crear()
        await olvidada(api)
        assert (await restablecer(api, await enlace(recibir, RESTABLECER))).status_code == 204
        assert fuera(await entrar(api, persona.llavero, llave))

    async def test_quien_recibe_la_cuenta_desde_fuera_no_las_hereda(
        self, persona: Persona, api: Any, make_settings: Any
    ) -> None:
        llave = await persona.crear()
        async with administradores(make_settings()) as admins:
            await admins.nombrar(EMAIL, "otra muy distinta", orden="comanda admin create")
        assert await count(api, passkeys) == 0
        assert fuera(await entrar(api, persona.llavero, llave))

    async def test_con_la_cuenta_se_borran(self, persona: Persona, api: Any) -> None:
        llave = await persona.crear()
        datos = (await api.http.get("/auth/yo/datos", headers=persona.headers)).json()
        assert [one["nombre"] for one in datos["passkeys"]] == ["Portátil"]
        await api.http.post("/auth/yo/borrar", json={"password": PASSWORD}, headers=persona.headers)
        assert await count(api, passkeys) == 0
        assert fuera(await entrar(api, persona.llavero, llave))

    async def test_quitado_el_segundo_factor_la_sesion_por_passkey_sigue_siendo_de_dos(
        self, con_factor: Ana, api: Any
    ) -> None:
        persona = Persona(api)
        persona.headers = bearer(await con_factor.entrar())
        llave, credencial = persona.llavero.crear(await persona.opciones(codigo=con_factor.app.codigo()))
        assert (await persona.enviar(credencial)).status_code == 201
        con_factor.clock.advance(30)
        response = await entrar(api, persona.llavero, llave)
        con_factor.headers = bearer(dentro(response))
        codigo = con_factor.app.codigo()
        assert (await con_factor.post("/desactivar", password=PASSWORD, codigo=codigo)).status_code == 204
        ((_, morsel),) = SimpleCookie(response.headers["set-cookie"]).items()
        assert claims((await api.renovar(morsel.value)).json())["amr"] == ["mfa", "user"]


class TestMuerteAMedias:
    async def test_sin_sesion_la_respuesta_no_se_ha_gastado(
        self, persona: Persona, api: Any, make_settings: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who dies before the session is kept has spent nothing: the same answer logs in at another replica."""

        async def die(*_: Any, **__: Any) -> Any:
            raise asyncio.CancelledError

        llave = await persona.crear()
        credencial = persona.llavero.usar(llave, await invitacion(api))
        monkeypatch.setattr(use_cases(api).sesiones, "abrir", die)
        with pytest.raises(asyncio.CancelledError):
            await presentar(api, credencial)
        async with running(create_app(make_settings(), clock=clock)) as http:
            dentro(await http.post(SESION, json={"credencial": credencial}))
            monkeypatch.undo()
            assert fuera(await presentar(api, credencial))
