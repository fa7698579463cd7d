"""What the clients did and what they were told: the material of the checks after a run."""

from dataclasses import dataclass, field
from functools import cached_property
from json import loads
from typing import Any

from simulation.network import Message, Reply

OPEN_ENDED = ("peticion-en-curso", "servicio-no-disponible", "servicio-saturado", "respuesta-invalida")

Lines = tuple[tuple[str, int], ...]


@dataclass
class Told:
    """One request and its answer; `reply` is None when there came none."""

    asked_at: float
    told_at: float
    client: str
    message: Message
    reply: Reply | None
    hopeless: bool = False
    """It stayed like that, however often the client asked, when everything was well again."""

    @property
    def status(self) -> int | None:
        return self.reply.status if self.reply else None

    @cached_property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = loads(self.reply.content) if self.reply else {}
        return body

    @cached_property
    def body_sent(self) -> dict[str, Any]:
        sent: dict[str, Any] = loads(self.message.body or b"{}")
        return sent

    @cached_property
    def slug(self) -> str:
        return str(self.body.get("type", "")).rpartition("/")[2]

    @property
    def definite(self) -> bool:
        """Whether this was the last word, not an invitation to try again."""
        return self.reply is not None and self.slug not in OPEN_ENDED

    @property
    def key(self) -> str | None:
        return self.message.headers.get("Idempotency-Key")


@dataclass(slots=True)
class History:
    """Everything that was said, in the order in which the answers came."""

    told: list[Told] = field(default_factory=list)
    operations: int = 0

    @property
    def placed(self) -> int:
        """How many orders clients were told 201 for."""
        return len({told.body["id"] for told in self.told if told.status == 201 and told.message.path == "/pedidos"})


def lines_of(document: dict[str, Any]) -> Lines:
    """The products and amounts of an order or of a request for one."""
    return tuple(sorted((linea["producto_id"], linea["cantidad"]) for linea in document["lineas"]))
