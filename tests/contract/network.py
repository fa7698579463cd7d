"""A network between services in this process that loses, delays and repeats what a test tells it to."""

import asyncio

import httpx2
from fastapi import FastAPI

from comanda.testing import Network


class Pausa:
    """A request that stops on its way: `llegada` tells that it has come so far, `seguir` lets it go on."""

    def __init__(self, *, antes: bool) -> None:
        self.antes = antes
        self.llegada = asyncio.Event()
        self.seguir = asyncio.Event()


class Red(Network):
    """The network between the services: it remembers, delays and loses what a test tells it to."""

    def __init__(self) -> None:
        super().__init__()
        self.peticiones: list[httpx2.Request] = []
        self._pausas: list[tuple[str, str, Pausa]] = []
        self._perdidas: dict[tuple[str, str], int] = {}
        self._caidos: dict[str, FastAPI] = {}

    def pausar(self, host: str, method: str, *, antes: bool) -> Pausa:
        """The next such request stops, before it reaches the service or with the answer on its way back."""
        pausa = Pausa(antes=antes)
        self._pausas.append((host, method, pausa))
        return pausa

    def perder_respuestas(self, host: str, method: str, count: int = 4) -> None:
        """The next such requests take effect, but their answers never arrive. Four are one full round of tries."""
        self._perdidas[host, method] = count

    def caer(self, *hosts: str) -> None:
        for host in hosts:
            self._caidos[host] = self.apps.pop(host)

    def volver(self, *hosts: str) -> None:
        for host in hosts:
            self.apps[host] = self._caidos.pop(host)

    @property
    def entera(self) -> bool:
        return not self._caidos and not self.answers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.peticiones.append(request)
        host, method = request.url.host, request.method
        pausa = self._pausa(host, method)
        if pausa and pausa.antes:
            pausa.llegada.set()
            await pausa.seguir.wait()
        response = await super().handle_async_request(request)
        if pausa and not pausa.antes:
            pausa.llegada.set()
            await pausa.seguir.wait()
        if self._perdidas.get((host, method), 0):
            self._perdidas[host, method] -= 1
            raise httpx2.ReadError("connection reset", request=request)
        return response

    async def entregar_tarde(self, method: str, path: str) -> httpx2.Response:
        """What inventario answers to a copy of such a request that has been under way since it was sent."""
        request = next(r for r in self.peticiones if (r.method, r.url.path) == (method, path))
        response = await super().handle_async_request(request)
        await response.aread()
        return response

    def _pausa(self, host: str, method: str) -> Pausa | None:
        for index, (wanted_host, wanted_method, pausa) in enumerate(self._pausas):
            if (wanted_host, wanted_method) == (host, method):
                del self._pausas[index]
                return pausa
        return None
