"""`comanda up`: checks everything that can be wrong, then becomes the supervisor of services and gateway."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from comanda.cli import environment, gateway, listening, supervision
from comanda.cli.errors import CommandFailed
from comanda.cli.migrate import create_databases
from comanda.cli.restore import unfinished

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings

SIGNERS = ("pedidos", "inventario", "operador")
MAX_OPEN_FILES = 65_536


def up(*, seed: bool) -> None:
    """Does not return: the process becomes the supervisor, so whoever signals one signals the other."""
    variables = environment.prepared()
    settings = environment.load_settings()
    _check_tracing(variables)
    _check_ports(settings)
    front = gateway.plan(variables, settings)
    data = _data_folder(variables)
    _check_folder_is_free(data)
    create_databases(variables, environment.SERVICES)
    _create_keys(data)
    configuration = supervision.write_configuration(data, settings, gateway=front is not None)
    _raise_open_files()
    if front is not None:
        variables = front.complete(variables)
    variables["COMANDA_SUPERVISOR_PID"] = str(os.getpid())
    # The announcer inherits this, so a Ctrl-C in the terminal is for the supervisor alone, which sets handlers of its
    # own as soon as it runs; the services that it starts inherit neither.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    option = "--seed" if seed and _may_have_samples(settings) else "--no-seed"
    subprocess.Popen([sys.executable, "-m", "comanda.cli", "announce", option], env=variables)
    sys.stdout.flush()
    command = [sys.executable, "-m", "comanda.cli.supervisor_process", "-n", "-c", str(configuration)]
    os.execve(sys.executable, command, variables)  # noqa: S606  # no shell is wanted


def _may_have_samples(settings: Mapping[str, "ServiceSettings"]) -> bool:
    """No shop in production gets products that nobody asked for."""
    return not any(setting.production for setting in settings.values())


def _data_folder(variables: Mapping[str, str]) -> Path:
    data = Path(variables["COMANDA_DATA"])
    if "%" in str(data):
        raise CommandFailed(f"COMANDA_DATA: the supervisor cannot work in {data}, because of the %")
    try:
        for folder in (data, data / "run", data / "logs"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data.chmod(0o700)
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}. Set COMANDA_DATA to another folder.") from None
    return data


def _check_tracing(variables: Mapping[str, str]) -> None:
    from comanda.common.settings import InvalidSettings
    from comanda.common.tracing import wanted

    try:
        wanted(variables)
    except InvalidSettings as error:
        raise CommandFailed(str(error)) from None


def _check_ports(settings: Mapping[str, "ServiceSettings"]) -> None:
    faults, taken = [], list[listening.Place]()
    for setting in settings.values():
        place = listening.place_of(setting)
        faults.append(place.fault(is_taken=any(map(place.meets, taken))))
        taken.append(place)
    if any(faults):
        raise CommandFailed("\n".join(filter(None, faults)))


def _check_folder_is_free(data: Path) -> None:
    pid = supervision.running_pid(data)
    if pid is not None:
        raise CommandFailed(f"Comanda already runs on {data} (pid {pid}): set COMANDA_DATA to another folder")
    if source := unfinished(data):
        raise CommandFailed(f"una restauración quedó a medias en {data}: repetir comanda restore {source}")


def _create_keys(data: Path) -> None:
    """The services' keys exist before any service starts, so that none refuses another's first call."""
    missing = [name for name in SIGNERS if not (data / "keys" / f"{name}.jwks.json").exists()]
    if missing:
        # Imported only then: it takes longer than everything else that happens here.
        from comanda.common.tokens import SigningKey
        from comanda.common.trust import key_path

        for name in missing:
            SigningKey.load_or_create(key_path(name, ""))


def _raise_open_files() -> None:
    """A connection is an open file; the usual soft limit of 1024 is below what a service may be told to serve."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
