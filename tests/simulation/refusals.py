"""No false answer: what a client was told was so at some moment between its question and the answer.

Without these a system that refuses everything would keep every other promise.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulation.caps import Caps
from simulation.history import History, Told, lines_of
from simulation.snapshot import FINAL, Snapshot, Stock
from simulation.witness import Stage, Witness

INTENTS = {"completar": "COMPLETANDO", "cancelar": "CANCELANDO"}
REFUSED_FROM = {
    "completar": ("SOLICITADO", "CANCELANDO", "CANCELADO"),
    "cancelar": ("COMPLETANDO", "COMPLETADO"),
}
TOO_LATE = ("expirado", "reserva-cerrada")


@dataclass(frozen=True, slots=True)
class Referee:
    now: Snapshot
    history: History
    witness: Witness
    caps: Caps

    def check(self) -> Iterator[str]:
        checks: Mapping[str, Callable[[Told], Iterator[str]]] = {
            "": self._read,
            "no-encontrado": self._not_found,
            "existencias-insuficientes": self._insufficient,
            "existencias-cambiadas": self._changed,
            "transicion-invalida": self._not_from_there,
            "reserva-expirada": self._too_late,
            "demasiados-pendientes": self._too_many,
            "clave-idempotencia-reutilizada": self._key_used,
            "servicio-no-disponible": self._to_be_continued,
            "respuesta-invalida": self._to_be_continued,
        }
        for told in self.history.told:
            if told.reply is not None and told.slug in checks:
                yield from checks[told.slug](told)
        yield from self._nothing_unasked()

    def _read(self, told: Told) -> Iterator[str]:
        body, (kind, *about) = told.body, told.message.path.strip("/").split("/")
        if told.message.method != "GET":
            return
        if kind == "inventario":
            seen = Stock(body["fisico"], body["reservado"])
            if seen not in self._stock(about[0], told.asked_at, told.told_at):
                yield f"read: {told.client} saw {seen} of {about[0]} between {told.asked_at} and {told.told_at}"
        elif told.reply is not None:
            stage = Stage(int(told.reply.headers["ETag"].strip('"')), body["fase"])
            if stage not in self._stages(about[0], told):
                yield f"read: {told.client} saw {stage} of {about[0]} between {told.asked_at} and {told.told_at}"

    def _not_found(self, told: Told) -> Iterator[str]:
        kind, about = told.message.path.strip("/").split("/")[:2]
        lives = self.witness.orders if kind == "pedidos" else self.witness.stock
        if about in lives and lives[about].times[0] < told.asked_at:
            yield f"refusal: {told.client} was told that {told.message.path} does not exist"

    def _insufficient(self, told: Told) -> Iterator[str]:
        """For an order: some time between its first commit and its last. A refusal may be given again later."""
        since, until = told.asked_at, told.told_at
        if told.message.path == "/pedidos":
            life = self.witness.orders.get(told.body["pedido_id"])
            if life is None:
                yield f"refusal: {told.client} was refused {told.body['pedido_id']}, which does not exist"
                return
            since, until = life.times[0], min(until, life.times[-1])
        wanted = dict(lines_of(told.body_sent)) if "lineas" in told.body_sent else None
        for falta in told.body["faltantes"]:
            producto_id, solicitado, disponible = (falta[k] for k in ("producto_id", "solicitado", "disponible"))
            there_was = {stock.fisico - stock.reservado for stock in self._stock(producto_id, since, until)}
            if producto_id in self.witness.passed:
                passed = self.witness.passed[producto_id].became(since, until)
                there_was |= {stock.fisico - stock.reservado for stock in passed}
            asked_for_it = wanted is None or wanted.get(producto_id) == solicitado
            if not asked_for_it or disponible not in there_was or solicitado <= disponible:
                yield f"refusal: {told.client} was told {falta} for {told.message}, but there was {there_was}"

    def _changed(self, told: Told) -> Iterator[str]:
        producto_id, told_fisico = told.message.path.split("/")[2], told.body["fisico"]
        there_was = {stock.fisico for stock in self._stock(producto_id, told.asked_at, told.told_at)}
        if told_fisico not in there_was or told_fisico == told.body_sent["fisico_esperado"]:
            yield f"refusal: {told.client} was told that there is {told_fisico} of {producto_id}, there was {there_was}"

    def _not_from_there(self, told: Told) -> Iterator[str]:
        pedido_id, verb = told.message.path.split("/")[2:]
        fases = [stage.fase for stage in self._stages(pedido_id, told)]
        if told.body["fase"] not in fases or told.body["fase"] not in REFUSED_FROM[verb]:
            yield f"refusal: {told.client} may not {verb} {pedido_id} from {told.body['fase']}, it was {fases}"

    def _too_late(self, told: Told) -> Iterator[str]:
        order = self.now.orders[told.message.path.split("/")[2]]
        if order.fase != "CANCELADO" or order.motivo not in TOO_LATE:
            yield f"refusal: {told.client} was told that {told.message.path} is too late, but it is {order}"

    def _too_many(self, told: Told) -> Iterator[str]:
        """Counts every order that was open at some moment meanwhile, so it may let a false refusal pass."""
        orders, units = 1, sum(cantidad for _, cantidad in lines_of(told.body_sent))
        for pedido_id, order in self.now.orders.items():
            if order.cliente_id == told.client and any(s.fase not in FINAL for s in self._stages(pedido_id, told)):
                orders, units = orders + 1, units + sum(cantidad for _, cantidad in order.lines)
        if not self.caps.exceeded(orders, units):
            yield f"refusal: {told.client} would have had {orders} open orders with {units} units: {self.caps}"

    def _key_used(self, told: Told) -> Iterator[str]:
        bodies = {
            other.message.body for other in self.history.told if (other.client, other.key) == (told.client, told.key)
        }
        if len(bodies) < 2:
            yield f"refusal: {told.client} has used {told.key} for one request only"

    def _to_be_continued(self, told: Told) -> Iterator[str]:
        """inventario gave no verdict: then what the client wants stands, and is finished without it."""
        if told.body["servicio"] != "inventario":
            return
        _, _, *about = told.message.path.split("/")
        if not about:
            if told.body.get("pedido_id") not in self.witness.orders:
                yield f"intent: {told.client} was told {told.slug} for an order that does not stand: {told.body}"
            return
        pedido_id, verb = about
        order, life = self.now.orders[pedido_id], self.witness.orders[pedido_id]
        if INTENTS[verb] not in [stage.fase for stage in life.during(0, told.told_at)]:
            yield f"intent: {told.client} was told that {told.message.path} goes on, but it was not recorded"
        cancelled = order.fase == "CANCELADO" and (verb == "cancelar" or order.motivo in TOO_LATE)
        if not (cancelled or (order.fase == "COMPLETADO" and verb == "completar")):
            yield f"intent: {told.client} was told that {told.message.path} goes on, but it ended as {order}"

    def _nothing_unasked(self) -> Iterator[str]:
        asked = Counter(told.message.path for told in self.history.told)
        for pedido_id, order in self.now.orders.items():
            if order.fase == "COMPLETADO" and not asked[f"/pedidos/{pedido_id}/completar"]:
                yield f"unasked: nobody has completed {pedido_id}"
            if order.motivo == "cancelado" and not asked[f"/pedidos/{pedido_id}/cancelar"]:
                yield f"unasked: nobody has cancelled {pedido_id}"

    def _stages(self, pedido_id: str, told: Told) -> Sequence[Stage]:
        life = self.witness.orders.get(pedido_id)
        return life.during(told.asked_at, told.told_at) if life else []

    def _stock(self, producto_id: str, since: float, until: float) -> Sequence[Stock]:
        """What there was; nothing, before somebody began to count it."""
        life = self.witness.stock.get(producto_id)
        if life is None or life.times[0] > until:
            return [Stock(0, 0)]
        return life.during(since, until) + ([Stock(0, 0)] if life.times[0] > since else [])
