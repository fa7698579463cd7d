from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from typing import get_args
from uuid import UUID

import pytest

from comanda.auth.correo import direccion, enlace, redactar, remitente
from comanda.auth.domain import es_email
from comanda.auth.repository_correo import Correo, Motivo

AHORA = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ID = UUID("01948a3e-0000-7000-8000-000000000001")


def escrito(motivo: Motivo = "restablecer", email: str = "ana@ejemplo.es", plazo_segundos: int = 1800) -> EmailMessage:
    """The mail as it is after its journey."""
    correo = Correo(ID, ID, motivo, 0, AHORA, AHORA)
    mensaje = redactar(
        correo,
        email,
        remitente=remitente("La Tienda <no-responder@tienda.es>"),
        enlace="https://tienda.es/x#token=" + "t" * 72,
        tienda="https://tienda.es",
        plazo_segundos=plazo_segundos,
        ahora=AHORA,
    )
    leido = message_from_bytes(mensaje.as_bytes(), policy=default)
    assert isinstance(leido, EmailMessage)
    return leido


class TestRedactar:
    def test_cabeceras(self) -> None:
        mensaje = escrito()
        assert mensaje["From"] == "La Tienda <no-responder@tienda.es>"
        assert mensaje["To"] == "ana@ejemplo.es"
        assert mensaje["Subject"] == "Una contraseña nueva para su cuenta"
        assert mensaje["Date"].datetime == AHORA
        assert mensaje["Message-ID"] == f"<{ID}@tienda.es>"
        assert mensaje["Auto-Submitted"] == "auto-generated"

    @pytest.mark.parametrize("motivo", ["restablecer", "verificar"])
    def test_el_enlace_llega_entero_y_dice_cuanto_vale(self, motivo: Motivo) -> None:
        texto = escrito(motivo).get_content()
        assert "https://tienda.es/x#token=" + "t" * 72 + "\n" in texto.replace("\r\n", "\n")
        assert "30 min" in texto
        assert "24 h" in escrito(motivo, plazo_segundos=86_400).get_content()

    @pytest.mark.parametrize("motivo", get_args(Motivo))
    def test_todos_dicen_que_hacer_si_no_se_ha_pedido(self, motivo: Motivo) -> None:
        assert "Si no" in escrito(motivo).get_content()

    def test_viaja_en_ascii(self) -> None:
        correo = Correo(ID, ID, "aviso-password", 0, AHORA, AHORA)
        mensaje = redactar(
            correo,
            "ana@ejemplo.es",
            remitente=remitente("Peña <a@tienda.es>"),
            enlace="",
            tienda="https://tienda.es",
            plazo_segundos=60,
            ahora=AHORA,
        )
        assert mensaje.as_bytes().isascii()

    @pytest.mark.parametrize(
        "email", ["victima,otra@ejemplo.es", "<ana>@ejemplo.es", '"ana@ejemplo.es', "a;b:c@ejemplo.es"]
    )
    def test_un_email_raro_no_es_otro_destinatario(self, email: str) -> None:
        assert es_email(email)
        local, _, domain = email.rpartition("@")
        assert escrito(email=email)["To"].addresses == (Address(username=local, domain=domain),)

    @pytest.mark.parametrize("email", ["ana\r\nBcc: x@ejemplo.es", "ana@ejemplo.es\nBcc:x@ejemplo.es"])
    def test_ninguna_cabecera_se_cuela(self, email: str) -> None:
        assert not es_email(email)
        with pytest.raises(ValueError, match=r"[Cc]odepoint|CR or LF|arguments|[Ii]nvalid"):
            escrito(email=email)


class TestDireccion:
    def test_el_dominio_en_ascii_y_el_nombre_como_es(self) -> None:
        assert direccion("ana@straße.de").addr_spec == "ana@xn--strae-oqa.de"  # not strasse.de, which is another's
        assert direccion("ÑANDÚ@Ejemplo.es").addr_spec == "ÑANDÚ@Ejemplo.es"
        assert direccion("a,b@ejemplo.es").addr_spec == '"a,b"@ejemplo.es'
        assert direccion("ana@localhost").addr_spec == "ana@localhost"

    def test_un_dominio_imposible(self) -> None:
        with pytest.raises(ValueError, match="Codepoint"):
            direccion("ana@ejemplo\u2713.es")


class TestRemitente:
    def test_con_nombre_y_sin_el(self) -> None:
        assert str(remitente("Tienda <a@tienda.es>")) == "Tienda <a@tienda.es>"
        assert str(remitente("a@tienda.es")) == "a@tienda.es"

    @pytest.mark.parametrize("texto", ["", "Tienda", "a@b", "ñ@tienda.es", "Tienda\n <a@tienda.es>"])
    def test_lo_que_no_es_una_direccion(self, texto: str) -> None:
        with pytest.raises(ValueError, match="debe ser una dirección"):
            remitente(texto)


def test_el_token_no_llega_a_ningun_servidor() -> None:
    assert enlace("https://tienda.es/", "restablecer", "abc") == "https://tienda.es/restablecer#token=abc"
