from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from comanda.auth.domain import (
    ALCANCES,
    AlcanceInvalido,
    Familia,
    Usuario,
    clave_de_email,
    conceder,
    es_email,
    normalizar_password,
)
from comanda.auth.domain_password import objecion_de_longitud

AHORA = datetime(2026, 1, 1, tzinfo=UTC)
UNO = UUID(int=1)

USUARIO = Usuario(
    id=UNO,
    email="ana@ejemplo.es",
    nombre="Ana",
    rol="cliente",
    activo=True,
    password_hash="$argon2id$secreto",
    version=1,
    creado_en=AHORA,
    actualizado_en=AHORA,
)
FAMILIA = Familia(
    id=UNO,
    usuario_id=UNO,
    client_id="comanda-web",
    alcance=None,
    generacion=3,
    token_hash="aa",
    rotada_en=AHORA,
    creada_en=AHORA,
    expira_en=AHORA + timedelta(days=30),
)


class TestUsuario:
    def test_un_cambio_hace_otra_version(self) -> None:
        despues = AHORA + timedelta(hours=1)
        modificado = USUARIO.modificar({"rol": "admin"}, despues)
        assert (modificado.rol, modificado.version, modificado.actualizado_en) == ("admin", 2, despues)

    def test_sin_diferencia_es_el_mismo(self) -> None:
        assert USUARIO.modificar({"rol": "cliente"}, AHORA) is USUARIO

    def test_su_hash_no_sale_al_mostrarlo(self) -> None:
        assert "secreto" not in repr(USUARIO)

    @pytest.mark.parametrize(("rol", "activo", "es"), [("admin", True, True), ("admin", False, False)])
    def test_admin_activo(self, rol: str, activo: bool, es: bool) -> None:
        assert USUARIO.modificar({"rol": rol, "activo": activo}, AHORA).es_admin_activo is es


class TestFamilia:
    def test_solo_la_ultima_generacion_es_actual(self) -> None:
        assert FAMILIA.es_actual(3, "aa")
        assert not FAMILIA.es_actual(2, "aa")
        assert not FAMILIA.es_actual(3, "bb")

    def test_rotar(self) -> None:
        rotada = FAMILIA.rotar("bb", AHORA + timedelta(hours=1), AHORA + timedelta(days=8))
        assert (rotada.generacion, rotada.token_hash) == (4, "bb")
        assert rotada.rotada_en == AHORA + timedelta(hours=1)
        assert rotada.expira_en == AHORA + timedelta(days=8)

    @pytest.mark.parametrize(
        ("generacion", "segundos", "admite"), [(2, 0, True), (2, 10, True), (2, 10.001, False), (1, 0, False)]
    )
    def test_repeticion(self, generacion: int, segundos: float, admite: bool) -> None:
        assert FAMILIA.admite_repeticion(generacion, AHORA + timedelta(seconds=segundos)) is admite

    def test_caduca_en_su_momento(self) -> None:
        assert not FAMILIA.ha_caducado(FAMILIA.expira_en - timedelta(seconds=1))
        assert FAMILIA.ha_caducado(FAMILIA.expira_en)


class TestConceder:
    def test_un_admin_puede_todo_menos_escribir_reservas(self) -> None:
        assert conceder("admin", None, None).split() == list(ALCANCES["admin"])
        assert "reservas:escribir" not in ALCANCES["admin"]
        assert set(ALCANCES["cliente"]) < set(ALCANCES["admin"])

    def test_se_puede_pedir_menos(self) -> None:
        assert conceder("cliente", None, "pedidos:crear productos:leer") == "productos:leer pedidos:crear"

    @pytest.mark.parametrize("pedido", ["usuarios:gestionar", "no-existe", "productos:leer  pedidos:crear", " "])
    def test_no_mas_de_lo_que_hay(self, pedido: str) -> None:
        with pytest.raises(AlcanceInvalido):
            conceder("cliente", None, pedido)

    def test_la_sesion_limita_tambien_a_quien_asciende(self) -> None:
        assert conceder("admin", "productos:leer", None) == "productos:leer"
        with pytest.raises(AlcanceInvalido):
            conceder("admin", "productos:leer", "pedidos:leer")

    def test_quien_desciende_conserva_lo_comun(self) -> None:
        assert conceder("cliente", "usuarios:gestionar productos:leer", None) == "productos:leer"


class TestEsEmail:
    @pytest.mark.parametrize("email", ["a@b.c", "ana+compras@sub.ejemplo.es", "niño@españa.es", "admin@localhost"])
    def test_si(self, email: str) -> None:
        assert es_email(email)

    @pytest.mark.parametrize(
        "email",
        [
            *("", "ana", "@b.c", "ana@", "ana@b", "a@b@c.d", "a b@c.d", "a@b..c", "a@.b", "a@b.", "a\0@b.c", "a\n@b.c"),
            *("a" * 65 + "@b.c", "a@" + "b" * 251 + ".c", "a\ud800@b.c", "a\u202e@b.c"),
        ],
    )
    def test_no(self, email: str) -> None:
        assert not es_email(email)


class TestClaveDeEmail:
    def test_ni_mayusculas_ni_composicion_distinguen(self) -> None:
        assert clave_de_email("NIÑO@Ejemplo.ES") == clave_de_email("nin\u0303o@ejemplo.es")


class TestNormalizarPassword:
    def test_da_igual_como_se_compuso(self) -> None:
        assert normalizar_password("contrasen\u0303a") == "contraseña"

    def test_una_enorme_no_cuesta_tiempo_ni_llega_a_ser_valida(self) -> None:
        enorme = "\u03b1\u0313\u0300\u0345" * 250_000  # composes four to one
        assert objecion_de_longitud(normalizar_password(enorme)) is not None
