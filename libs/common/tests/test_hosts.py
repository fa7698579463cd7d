"""By which names a service may be called."""

import pytest

from comanda.common.hosts import LOOPBACK, AllowedHosts, HostNoAdmitido, SinHost
from comanda.common.settings import ServiceSettings

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # nobody listens here
VARIABLE = "COMANDA_ALLOWED_HOSTS"


def allowed(**settings: str) -> AllowedHosts:
    return AllowedHosts.from_settings(ServiceSettings(port=0, database_url="sqlite:///x", **settings))


def refused(hosts: AllowedHosts, *names: str) -> bool:
    """Whether it refuses every one of them, also when it is asked again."""
    for name in (*names, *names):
        try:
            hosts.check(name.encode())
        except HostNoAdmitido:
            continue
        return False
    return True


class TestByDefault:
    @pytest.mark.parametrize("name", [*LOOPBACK, "LocalHost", "localhost.", "127.0.0.1"])
    @pytest.mark.parametrize("port", ["", ":8001", ":"])
    def test_loopback_at_any_port(self, name: str, port: str) -> None:
        allowed().check(f"{name}{port}".encode())

    @pytest.mark.parametrize(
        "name",
        ["mala.es", "localhost.mala.es", "mala.localhost", "127.0.0.2", "localhost@mala.es", "localhost mala.es"],
    )
    def test_nothing_else(self, name: str) -> None:
        assert refused(allowed(), name)

    @pytest.mark.parametrize(
        "name", ["[::1", "::1", "localhost:80:80", "localhost:x", "localhost/", "\xff", " ", ".", ":80"]
    )
    def test_nor_what_is_no_name(self, name: str) -> None:
        assert refused(allowed(), name)

    def test_who_is_refused_learns_which_setting_allows_more(self) -> None:
        with pytest.raises(HostNoAdmitido) as refusal:
            allowed().check(b"mala.es")
        assert VARIABLE in refusal.value.detail

    @pytest.mark.parametrize("host", [None, b""])
    def test_none_is_named(self, host: bytes | None) -> None:
        with pytest.raises(SinHost):
            allowed().check(host)

    def test_the_address_that_it_listens_on(self) -> None:
        allowed(host="10.0.0.7").check(b"10.0.0.7:8001")
        allowed(host="fd00::7").check(b"[FD00::7]:8001")
        assert refused(allowed(host="10.0.0.7"), "10.0.0.8")

    @pytest.mark.parametrize("host", EVERY_ADDRESS)
    def test_every_name_where_it_listens_everywhere(self, host: str) -> None:
        allowed(host=host).check(b"inventario:8002")


class TestNamed:
    def test_besides_loopback(self) -> None:
        hosts = allowed(host=EVERY_ADDRESS[0], allowed_hosts="tienda.es, inventario")
        for name in (b"tienda.es", b"TIENDA.ES:443", b"inventario:8002", b"localhost"):
            hosts.check(name)
        assert refused(hosts, "otra.es", "api.tienda.es", "tienda.es.mala.es")

    def test_all_below(self) -> None:
        hosts = allowed(allowed_hosts=".tienda.es")
        for name in (b"tienda.es", b"api.tienda.es", b"a.b.tienda.es:443"):
            hosts.check(name)
        assert refused(hosts, "mitienda.es", "tienda.es.mala.es")

    def test_any(self) -> None:
        allowed(allowed_hosts="*").check(b"cualquiera.es")

    def test_memory_is_bounded(self) -> None:
        hosts = allowed()
        for port in range(AllowedHosts.MAX_KNOWN + 50):
            hosts.check(f"localhost:{port}".encode())
        hosts.check(b"localhost:65535")
        assert refused(hosts, "mala.es:1")
