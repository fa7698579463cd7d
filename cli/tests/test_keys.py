"""The signing keys, rotated and listed on auth's own database."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comanda.auth.rewrap import Rewrapped
from comanda.cli import keys
from comanda.cli.errors import CommandFailed


@pytest.fixture(autouse=True)
def data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr("os.environ", {"COMANDA_DATA": str(tmp_path), "AUTH_MASTER_KEY": "la de siempre"})
    return tmp_path


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The state of each listed key."""
    capsys.readouterr()
    keys.listing()
    _, *lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


class TestRotate:
    def test_la_primera_firma_y_la_segunda_se_anuncia(self, capsys: pytest.CaptureFixture[str]) -> None:
        keys.rotate(now=False)
        keys.rotate(now=False)
        assert "is published, and signs from" in capsys.readouterr().out
        assert list(states(capsys).values()) == ["active", "next"]

    def test_otra_mas_no(self, capsys: pytest.CaptureFixture[str]) -> None:
        keys.rotate(now=False)
        keys.rotate(now=False)
        with pytest.raises(CommandFailed, match="is announced already and signs from"):
            keys.rotate(now=False)
        assert len(states(capsys)) == 2

    def test_ahora_mismo(self, capsys: pytest.CaptureFixture[str]) -> None:
        keys.rotate(now=False)
        keys.rotate(now=False)
        former = states(capsys)
        keys.rotate(now=True)
        assert "2 former keys are withdrawn" in capsys.readouterr().out
        present = states(capsys)
        assert list(present.values()) == ["active"]
        assert not former.keys() & present.keys()

    @pytest.mark.parametrize("now", [False, True])
    def test_con_otra_clave_maestra(self, capsys: pytest.CaptureFixture[str], now: bool) -> None:
        keys.rotate(now=False)
        before = states(capsys)
        os.environ["AUTH_MASTER_KEY"] = "otra"
        with pytest.raises(CommandFailed, match="AUTH_MASTER_KEY is not the key that encrypted"):
            keys.rotate(now=now)
        os.environ["AUTH_MASTER_KEY"] = "la de siempre"
        assert states(capsys) == before

    def test_la_base_no_responde(self) -> None:
        os.environ["AUTH_DATABASE_URL"] = "postgresql://u@127.0.0.1:1/x"
        with pytest.raises(CommandFailed, match="AUTH_DATABASE_URL: the database does not answer"):
            keys.rotate(now=False)


class TestRewrap:
    def test_con_otra_clave_maestra(self, capsys: pytest.CaptureFixture[str]) -> None:
        keys.rotate(now=False)
        before = states(capsys)
        os.environ["AUTH_MASTER_KEY"] = "otra"
        with pytest.raises(CommandFailed, match="AUTH_MASTER_KEY_PREVIOUS"):
            keys.rewrap()
        os.environ["AUTH_MASTER_KEY_PREVIOUS"] = "la de siempre"
        keys.rewrap()
        told = capsys.readouterr().out
        assert "signing keys: 1, second factors: 0" in told
        assert "AUTH_MASTER_KEY_PREVIOUS may be dropped 24 hours after" in told
        assert "la de siempre" not in told
        del os.environ["AUTH_MASTER_KEY_PREVIOUS"]
        assert states(capsys) == before

    def test_dice_lo_que_aun_necesita_la_anterior(self) -> None:
        told = keys._told(Rewrapped("a1", 0, 0, 2, 3, datetime(2026, 1, 2, tzinfo=UTC), 4), 3600)
        assert "2 values open with no master key" in told
        assert "sessions: 3, the last until 2026-01-02T00:00:00Z; accounts by their recovery codes: 4." in told
        assert "may be dropped" not in told
