from pathlib import Path

import pytest
from breaches import write_list
from pydantic import SecretStr

from comanda.auth.settings import Settings
from comanda.common.settings import InvalidSettings, load

KEY = "una-clave-maestra-de-mas-de-32-letras"


class TestSettings:
    def test_un_hash_cuesta_al_menos_lo_que_pide_asvs(self) -> None:
        """Argon2id with two passes and one lane needs 19 MiB (ASVS 5.0, appendix C)."""
        settings = Settings()
        assert (settings.argon2_time_cost, settings.argon2_parallelism) == (2, 1)
        assert settings.argon2_memory_kib >= 19_456

    def test_el_emisor_se_llama_auth_issuer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTH_ISSUER", "https://id.tienda.es")
        settings = load(Settings)
        assert settings.issuer == settings.auth_issuer == "https://id.tienda.es"

    @pytest.mark.parametrize("prefix", ["COMANDA", "AUTH"])
    def test_el_primer_admin(self, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
        monkeypatch.setenv(f"{prefix}_ADMIN_EMAIL", "jefa@tienda.es")
        monkeypatch.setenv(f"{prefix}_ADMIN_PASSWORD", "la clave de la jefa")
        settings = load(Settings)
        assert settings.admin_email == "jefa@tienda.es"
        assert settings.admin_password == SecretStr("la clave de la jefa")
        assert "la clave" not in repr(settings)

    @pytest.mark.parametrize("name", ["AUTH_LOGIN_ATTEMPTS", "AUTH_LOGIN_ATTEMPTS_PER_MINUTE"])
    def test_los_fallos_sin_espera(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "7")
        assert load(Settings).login_attempts == 7
        monkeypatch.setenv(name, "ninguno")
        with pytest.raises(InvalidSettings, match=r"^AUTH_LOGIN_ATTEMPTS: "):
            load(Settings)

    @pytest.mark.parametrize("value", ["", "corta"])
    def test_en_produccion_hace_falta_la_clave_maestra(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("AUTH_ENVIRONMENT", "production")
        monkeypatch.setenv("AUTH_ISSUER", "https://id.tienda.es")
        monkeypatch.setenv("AUTH_MASTER_KEY", value)
        with pytest.raises(InvalidSettings, match="AUTH_MASTER_KEY"):
            load(Settings)
        monkeypatch.setenv("AUTH_MASTER_KEY", KEY)
        assert KEY not in repr(load(Settings))

    def test_la_inactividad_no_acaba_una_sesion_en_uso(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTH_SESSION_IDLE_SECONDS", "899")
        with pytest.raises(InvalidSettings, match="AUTH_SESSION_IDLE_SECONDS=899: debe ser 900 o más"):
            load(Settings)
        monkeypatch.setenv("AUTH_SESSION_IDLE_SECONDS", "900")
        assert load(Settings).session_idle_seconds == 900

    @pytest.mark.parametrize(
        ("variable", "value"), [("AUTH_TOTP_ALGORITHM", "MD5"), ("AUTH_TOTP_TOLERANCE_STEPS", "2")]
    )
    def test_un_segundo_factor_flojo_se_dice_al_arrancar(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        monkeypatch.setenv(variable, value)
        with pytest.raises(InvalidSettings, match=f"^{variable}: "):
            load(Settings)

    def test_el_correo(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert load(Settings).tienda == "http://127.0.0.1:8000"
        monkeypatch.setenv("AUTH_SMTP_URL", "smtp://tienda:la-clave@correo.es")
        monkeypatch.setenv("AUTH_MAIL_FROM", "Tienda <no@tienda.es>")
        monkeypatch.setenv("AUTH_PUBLIC_URL", "https://tienda.es")
        settings = load(Settings)
        assert settings.tienda == "https://tienda.es"
        assert "la-clave" not in repr(settings)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("AUTH_SMTP_URL", "correo.es:25"),
            ("AUTH_MAIL_FROM", ""),
            ("AUTH_MAIL_FROM", "Tienda"),
            ("AUTH_PUBLIC_URL", "tienda.es"),
        ],
    )
    def test_un_correo_imposible_se_dice_al_arrancar(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        given = {"AUTH_SMTP_URL": "smtp://x:la-clave@correo.es", "AUTH_MAIL_FROM": "no@tienda.es", variable: value}
        for name, text in given.items():
            monkeypatch.setenv(name, text)
        with pytest.raises(InvalidSettings, match=f"^{variable}: ") as refusal:
            load(Settings)
        assert "la-clave" not in str(refusal.value)

    def test_en_produccion_el_emisor_es_https(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTH_ENVIRONMENT", "production")
        monkeypatch.setenv("AUTH_MASTER_KEY", KEY)
        monkeypatch.setenv("AUTH_AUTH_ISSUER", "https://no.se.usa")
        with pytest.raises(InvalidSettings, match=r"^AUTH_ISSUER: en producción debe ser https://…$"):
            load(Settings)
        monkeypatch.setenv("AUTH_ISSUER", "https://id.tienda.es")
        monkeypatch.setenv("AUTH_AUTH_ISSUER", "http://no.se.usa")
        assert load(Settings).auth_issuer == "https://id.tienda.es"

    def test_las_filtradas_se_leen(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("AUTH_BREACHED_PASSWORDS_FILE", str(write_list(tmp_path / "list", ["una", "otra"])))
        assert load(Settings).breached_passwords_file == tmp_path / "list"

    @pytest.mark.parametrize(
        ("content", "reason"), [(None, "no se puede leer: No such file"), ("una\n", "no es la lista de Have I Been")]
    )
    def test_una_lista_que_no_sirve_se_dice_al_arrancar(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, reason: str
    ) -> None:
        if content:
            (tmp_path / "list").write_text(content)
        monkeypatch.setenv("AUTH_BREACHED_PASSWORDS_FILE", str(tmp_path / "list"))
        with pytest.raises(InvalidSettings, match=f"^AUTH_BREACHED_PASSWORDS_FILE: .*{reason}"):
            load(Settings)

    def test_las_palabras_de_la_tienda_no_son_cortas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTH_CONTEXT_WORDS", "panadería, pan,")
        with pytest.raises(InvalidSettings, match=r"^AUTH_CONTEXT_WORDS: «pan» tiene menos de 4 letras"):
            load(Settings)
        monkeypatch.setenv("AUTH_CONTEXT_WORDS", "panadería, bollos,")
        assert load(Settings).context_words == "panadería, bollos,"

    @pytest.mark.parametrize(("name", "value"), [("EMAIL", "nadie"), ("PASSWORD", "corta")])
    def test_un_admin_imposible_se_dice_al_arrancar(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(f"COMANDA_ADMIN_{name}", value)
        with pytest.raises(InvalidSettings, match=f"COMANDA_ADMIN_{name}"):
            load(Settings)
