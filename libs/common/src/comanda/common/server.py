"""The process of a service: `python -m comanda.<service>`."""

import asyncio
import gc
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from functools import partial
from typing import NoReturn, cast

import uvicorn

from comanda.common import tracing
from comanda.common.connections import Watch
from comanda.common.protocol import JoiningProtocol
from comanda.common.response_headers import security_headers
from comanda.common.settings import InvalidSettings, ServiceSettings, load, reference
from comanda.common.telemetry import configure_logging

SUPERVISOR_VARIABLE = "COMANDA_SUPERVISOR_PID"
"""Set by `comanda up`: the process with which the service lives and dies."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection, so that a request never meets one that is just being closed."""

OTHER_FILES = 200
"""Open files besides the clients' connections: databases, neighbours, logs."""

GARBAGE_THRESHOLD = 20_000
"""New objects before a search for cycles. At the default of 700 the requests in hand alone set one off all the time."""


def serve(package: str, settings_class: type[ServiceSettings]) -> None:
    """Runs the service of `package` (its `app.py` has a `build()`) until SIGTERM or SIGINT.

    Running requests then get `shutdown_seconds` to finish. Exits 1 with one line when a setting is wrong or the port
    is taken. With `--migrate` it brings the schema up to date instead, and ends: the job of a deployment whose services
    have `migrate_on_start` false.
    """
    if "--help" in sys.argv or "-h" in sys.argv:
        print(f"python -m {package} [--migrate]\n\nEnvironment:\n{reference(settings_class)}")  # noqa: T201
        return
    try:
        settings = load(settings_class)
        tracing.wanted()
    except InvalidSettings as error:
        _refuse(str(error))
    if "--migrate" in sys.argv:
        _migrate(package, settings)
        return
    _check_port(settings)
    _allow_files(settings.max_connections + OTHER_FILES)
    _live_with(int(os.environ.get(SUPERVISOR_VARIABLE, "0")))
    uvicorn.run(
        f"{package}.app:build",
        factory=True,
        host=settings.host,
        port=settings.port,
        http=cast(type[asyncio.Protocol], partial(JoiningProtocol, watch=_watch(package, settings))),
        ws="none",
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,  # anybody else could claim any address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        backlog=2048,
    )


def _migrate(package: str, settings: ServiceSettings) -> None:
    from comanda.common import migrations  # a process that serves in several others has no use for them
    from comanda.common.database import DatabaseUnavailable

    try:
        asyncio.run(migrations.migrate_at(settings.database_url, package))
    except DatabaseUnavailable as fault:
        _refuse(f"{settings.variable('database_url')}: the database does not answer ({fault})")
    print(f"{package}: up to date")  # noqa: T201


def _watch(package: str, settings: ServiceSettings) -> Watch:
    return Watch(
        package.rpartition(".")[2],
        header_timeout_seconds=settings.header_timeout_seconds,
        max_header_bytes=settings.max_header_bytes,
        max_connections=settings.max_connections,
        headers=security_headers(settings),
    )


def prepare_process(settings: ServiceSettings, service: str) -> None:
    """What each serving process does first: telemetry, and, in one of several workers, the watch over the main one."""
    tracing.start(service)
    gc.freeze()  # what has been imported stays for ever, and need not be looked through again and again
    gc.set_threshold(GARBAGE_THRESHOLD)
    configure_logging(settings, service)
    main_process = multiprocessing.parent_process()
    if main_process is not None:
        _live_with(main_process.pid or 0)


def _live_with(parent: int) -> None:
    """Ends this process soon after its parent is gone, however that ended; 0: it has none to watch."""
    if parent:
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(1)


def _check_port(settings: ServiceSettings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            variable = settings.variable("port")
            _refuse(f"{settings.host}:{settings.port}: {error.strerror}. Set {variable} to another port.")


def _allow_files(needed: int) -> None:
    """Raises this process' limit of open files as far as it may itself; the default is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _refuse(reason: str) -> NoReturn:
    print(reason, file=sys.stderr)  # noqa: T201
    sys.exit(1)
