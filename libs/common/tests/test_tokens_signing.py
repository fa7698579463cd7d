"""How a service signs, and where its key comes from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, thumbprint
from token_forging import OTHER_KEY, SERVICE_KEY, USER_KEY, FakeClock, jwks, mode, refused

from comanda.common.tokens import ServiceSigner, SigningKey, Verifier


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestServiceSigner:
    async def test_callee_accepts_it(self, verifier: Verifier, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        assert (await verifier.verify(signer.token("inventario"))).subject == "pedidos"
        await refused(verifier, signer.token("productos"))

    def test_reused_until_half_its_life(self, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        first = signer.token("inventario")
        clock.seconds = 30
        assert signer.token("inventario") == first
        assert signer.token("productos") != first
        clock.seconds = 31
        assert signer.token("inventario") != first

    def test_clock_set_back(self, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        first = signer.token("inventario")
        clock.seconds = -3600
        assert signer.token("inventario") != first

    def test_bounded(self, clock: FakeClock) -> None:
        signer = ServiceSigner("pedidos", SERVICE_KEY, clock)
        first = signer.token("a0")
        for number in range(1, ServiceSigner.MAX_AUDIENCES + 1):
            signer.token(f"a{number}")
        assert signer.token("a0") != first


class TestSigningKey:
    def test_public_half(self) -> None:
        jwk = USER_KEY.public_jwk()
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"]) == ("EC", "P-256", "sig", "ES256")
        assert jwk["kid"] == USER_KEY.kid == thumbprint({name: jwk[name] for name in ("kty", "crv", "x", "y")})

    def test_pem_and_back(self) -> None:
        assert SigningKey.from_pem(USER_KEY.to_pem()).public_jwk() == USER_KEY.public_jwk()

    def test_other_pems(self) -> None:
        p384 = generate_private_key(SECP384R1())
        public = ECKey.import_key(USER_KEY.to_pem()).as_pem(private=False)
        for pem in (
            b"",
            b"secret",
            public,
            Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            p384.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            ECKey.import_key(USER_KEY.to_pem()).as_pem(private=True, password="x"),
        ):
            with pytest.raises(ValueError, match=r"ES256|PEM"):
                SigningKey.from_pem(pem)


class TestLoadOrCreate:
    def test_made_once_and_private(self, tmp_path: Path) -> None:
        path = tmp_path / "claves" / "pedidos.pem"
        made = SigningKey.load_or_create(path)
        assert SigningKey.load_or_create(path).kid == made.kid
        assert mode(path) == 0o600
        assert mode(path.parent) == 0o700
        assert mode(path.parent / "pedidos.jwks.json") == 0o644
        assert json.loads((path.parent / "pedidos.jwks.json").read_text()) == jwks(made)
        assert {file.name for file in path.parent.iterdir()} == {"pedidos.pem", "pedidos.jwks.json"}

    def test_public_set_follows_the_key(self, tmp_path: Path) -> None:
        path = tmp_path / "pedidos.pem"
        SigningKey.load_or_create(path)
        path.write_bytes(OTHER_KEY.to_pem())
        SigningKey.load_or_create(path)
        assert json.loads((tmp_path / "pedidos.jwks.json").read_text()) == jwks(OTHER_KEY)

    def test_damaged_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "pedidos.pem"
        path.write_bytes(b"")
        with pytest.raises(ValueError, match=r"pedidos\.pem"):
            SigningKey.load_or_create(path)

    def test_public_set_cannot_be_written(self, tmp_path: Path) -> None:
        path = tmp_path / "pedidos.pem"
        path.write_bytes(OTHER_KEY.to_pem())
        (tmp_path / "pedidos.jwks.json").mkdir()
        assert SigningKey.load_or_create(path).kid == OTHER_KEY.kid

    def test_processes_that_start_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "claves" / "pedidos.pem"
        program = (
            "import sys, pathlib; from comanda.common.tokens import SigningKey\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "print(SigningKey.load_or_create(pathlib.Path(sys.argv[1])).kid)"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        kids = {process.communicate(timeout=20)[0].strip() for process in processes}
        assert kids == {SigningKey.load_or_create(path).kid}
        assert mode(path) == 0o600
        assert len(list(path.parent.iterdir())) == 2

    def test_loser_of_the_race_reads_the_winners(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "pedidos.pem"
        link = os.link

        def somebody_was_first(source: Path, target: Path) -> None:
            target.write_bytes(OTHER_KEY.to_pem())
            link(source, target)

        monkeypatch.setattr(os, "link", somebody_was_first)
        assert SigningKey.load_or_create(path).kid == OTHER_KEY.kid
