import stat
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from mail_server import certificate, estafeta

from comanda.auth import envio
from comanda.auth.envio import Carpeta, DireccionRechazada, NoEntregado, ServidorSmtp, Smtp
from comanda.testing import free_port


def mensaje(to: str = "ana@ejemplo.es", name: str = "uno") -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["To"], made["Message-ID"] = to, f"<{name}@tienda.es>"
    made.set_content("Año nuevo", cte="quoted-printable")
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def enviar(url: str, to: str = "ana@ejemplo.es") -> None:
    await Smtp(ServidorSmtp.de(url)).enviar(mensaje(to), remitente="no@tienda.es", destinatario=to)


class TestServidorSmtp:
    def test_lo_que_dice_la_url(self) -> None:
        found = ServidorSmtp.de("smtp://ana%40tienda:cl%3Aave@correo.es")
        assert (found.host, found.port, found.username, found.password) == ("correo.es", 587, "ana@tienda", "cl:ave")
        assert "cl:ave" not in repr(found)
        assert ServidorSmtp.de("smtps://correo.es").port == 465
        assert ServidorSmtp.de("smtp+insecure://relay:1025").port == 1025

    @pytest.mark.parametrize(
        "url",
        ["correo.es:25", "http://correo.es", "smtp://", "smtp://a:x@b:nada", "smtp://a/b", "smtp+insecure://a:b@c"],
    )
    def test_lo_que_no_se_entiende_o_iria_sin_cifrar(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"debe ser smtp|sin cifrar|Port"):
            ServidorSmtp.de(url)


class TestSmtp:
    async def test_sin_cifrar_a_un_rele(self) -> None:
        async with estafeta() as server:
            await enviar(f"smtp+insecure://127.0.0.1:{server.port}")
        assert server.destinatarios == ["ana@ejemplo.es"]
        assert server.correos[0].get_content().strip() == "Año nuevo"
        assert server.cifrados == [False]

    @pytest.mark.parametrize("scheme", ["smtp", "smtps"])
    async def test_cifrado_con_su_clave(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
        tls, public = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        async with estafeta(tls=tls, implicit_tls=scheme == "smtps") as server:
            await enviar(f"{scheme}://ana:secreto@localhost:{server.port}")
        assert server.logins == [("ana", "secreto")]
        assert server.cifrados == [True]

    @pytest.mark.parametrize("scheme", ["smtp", "smtps"])
    async def test_a_quien_no_se_puede_creer_no_se_le_da_nada(self, tmp_path: Path, scheme: str) -> None:
        tls, _ = certificate(tmp_path)
        async with estafeta(tls=tls, implicit_tls=scheme == "smtps") as server:
            with pytest.raises(NoEntregado):
                await enviar(f"{scheme}://ana:secreto@localhost:{server.port}")
        assert server.logins == server.correos == []

    async def test_sin_starttls_no_se_envia(self) -> None:
        async with estafeta() as server:
            with pytest.raises(NoEntregado):
                await enviar(f"smtp://ana:secreto@127.0.0.1:{server.port}")
        assert server.logins == server.correos == []

    async def test_un_nombre_que_no_es_ascii(self) -> None:
        async with estafeta() as server:
            await enviar(f"smtp+insecure://127.0.0.1:{server.port}", "ñandú@ejemplo.es")
        assert server.destinatarios == ["ñandú@ejemplo.es"]
        assert server.correos[0]["To"] == "ñandú@ejemplo.es"

    async def test_nadie_escucha(self) -> None:
        with pytest.raises(NoEntregado):
            await enviar(f"smtp+insecure://127.0.0.1:{free_port()}")

    @pytest.mark.parametrize(
        ("answer", "raised"),
        [
            ("550 5.1.1 ana@ejemplo.es: no such user", DireccionRechazada),
            ("554 5.7.1 ana@ejemplo.es: relaying denied", NoEntregado),
            ("450 4.1.1 ana@ejemplo.es: later", NoEntregado),
        ],
    )
    async def test_lo_que_el_servidor_rechaza(self, answer: str, raised: type[NoEntregado]) -> None:
        async with estafeta() as server:
            server.rechazo = answer
            with pytest.raises(NoEntregado) as refusal:
                await enviar(f"smtp+insecure://127.0.0.1:{server.port}")
        assert refusal.type is raised
        assert answer[:3] in str(refusal.value)
        assert "ana@" not in str(refusal.value)


class TestCarpeta:
    async def test_un_fichero_que_solo_lee_su_dueno(self, tmp_path: Path) -> None:
        carpeta = Carpeta(tmp_path / "correo")
        for _ in range(2):  # after a crash it is sent again
            await carpeta.enviar(mensaje(), remitente="no@tienda.es", destinatario="ana@ejemplo.es")
        [found] = (tmp_path / "correo").iterdir()
        assert found.name == "uno.eml"
        assert stat.S_IMODE(found.stat().st_mode) == 0o600
        assert b"To: ana@ejemplo.es" in found.read_bytes()

    async def test_quedan_los_ultimos(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(envio, "KEPT_FILES", 2)
        for name in "abc":
            await Carpeta(tmp_path).enviar(mensaje(name=name), remitente="no@tienda.es", destinatario="ana@ejemplo.es")
        assert names(tmp_path) == ["b.eml", "c.eml"]

    async def test_donde_no_se_puede_escribir(self, tmp_path: Path) -> None:
        (tmp_path / "correo").write_text("no es una carpeta")
        with pytest.raises(NoEntregado):
            await Carpeta(tmp_path / "correo").enviar(mensaje(), remitente="a@b.es", destinatario="ana@ejemplo.es")
