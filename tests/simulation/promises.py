"""What clients were told, against what became of it: no acknowledged write is lost, no key places two orders."""

from collections import Counter
from collections.abc import Iterable, Iterator
from json import loads

from simulation.history import History, Lines, Told, lines_of
from simulation.shop import YESTERDAYS_CLIENT
from simulation.snapshot import FINAL, Movement, Snapshot

UNEXPECTED = (401, 403, 500)


def kept(now: Snapshot, history: History, arrivals: Counter[str], *, lives: int) -> Iterator[str]:
    """Args: arrivals: how often each request without a key reached a service. lives: how often a key may be new."""
    answered = [told for told in history.told if told.reply is not None]
    for told in answered:
        if told.status in UNEXPECTED:
            yield f"{told.status}: {told.client} for {told.message}: {told.body}"
        if told.hopeless:
            yield f"8: {told.client} is still told {told.slug} for {told.message} {told.key}"
    placed = [told for told in answered if told.message.path == "/pedidos"]
    yield from _placed_orders_stand(now, placed)
    yield from _one_answer_for_a_key(placed, lives)
    yield from _one_order_for_a_key(now, history, arrivals, lives)
    yield from _states_are_final(now, answered)
    yield from _reads_do_not_go_back(answered)
    yield from _movements(now, history, arrivals, lives)


def _placed_orders_stand(now: Snapshot, placed: Iterable[Told]) -> Iterator[str]:
    for told in placed:
        body, slug = told.body, told.slug
        order = now.orders.get(body.get("id") or body.get("pedido_id", ""))
        wanted = lines_of(loads(told.message.body or b""))
        if told.status == 201:
            if order is None:
                yield f"9: {told.client} was told 201 for {body['id']}, which does not exist"
            elif not order.lines == lines_of(body) == wanted:
                yield f"9: {body['id']} has lines {order.lines}, ordered {wanted}, told {body['lineas']}"
            elif round(float(body["total"]) * 100) != order.total or order.cliente_id != told.client:
                yield f"9: {body['id']} costs {order.total}, {told.client} was told {body['total']}"
            elif "Idempotent-Replayed" not in told.reply.headers and body["fase"] != "RESERVADO":  # type: ignore[union-attr]
                yield f"answer: {told.client} was told 201 for {body['id']} in phase {body['fase']}"
        elif slug in ("existencias-insuficientes", "pedido-cancelado"):
            if order is None or order.fase != "CANCELADO":
                yield f"answer: {told.client} was told {slug}, but {body['pedido_id']} is {order}"
            elif slug == "existencias-insuficientes" and order.motivo != slug:
                yield f"answer: {told.client} was told {slug}, but {body['pedido_id']} says {order.motivo}"


def _one_answer_for_a_key(placed: Iterable[Told], lives: int) -> Iterator[str]:
    """The definite answers to one key: about one body, and the same status and the same order for ever."""
    seen: dict[tuple[str, str], dict[tuple[object, ...], None]] = {}
    for told in placed:
        if told.key is None or not told.definite or told.slug == "clave-idempotencia-reutilizada":
            continue
        about = told.body.get("id") or told.body.get("pedido_id")
        if about is None or told.reply is None:  # refused before anything was recorded
            continue
        body = told.reply.content if told.status == 201 else b""
        seen.setdefault((told.client, told.key), {})[told.message.body, told.slug, about, body] = None
    for (client, key), answers in seen.items():
        if len(answers) > lives:
            yield f"7: {client} {key}: {list(answers)}"


def _one_order_for_a_key(now: Snapshot, history: History, arrivals: Counter[str], lives: int) -> Iterator[str]:
    """Each order comes from a key of its own, or from a request without one that has reached a service.

    A key may have been used for several bodies, of which one alone counts. So for each set of lines that belong
    together there are at most as many orders as there are sources that could have placed one of them.
    """
    sources: dict[tuple[object, ...], tuple[str, set[Lines], int]] = {}
    for told in history.told:
        if _places(told):
            text = str(told.message)
            source = (told.client, told.key) if told.key else (told.client, None, text)
            allowed = lives if told.key else arrivals[f"{told.client} {text}"]
            sources.setdefault(source, (told.client, set(), allowed))[1].add(lines_of(told.body_sent))
    orders: dict[str, Counter[Lines]] = {}
    for order in now.orders.values():
        orders.setdefault(order.cliente_id, Counter())[order.lines] += 1
    for client, found in orders.items():
        if client == YESTERDAYS_CLIENT:
            continue
        own = [(lines, allowed) for name, lines, allowed in sources.values() if name == client]
        for together in [*({lines} for lines in found), *(lines for lines, _ in own if len(lines) > 1)]:
            count = sum(found[lines] for lines in together)
            most = sum(allowed for lines, allowed in own if not lines.isdisjoint(together))
            if count > most:
                yield f"7: {count} orders of {client} with {together}, asked for {most}"
    ids = {told.body["id"]: told for told in history.told if _places(told) and told.status == 201}
    keys = Counter((told.client, told.key) for told in ids.values() if told.key)
    for about, count in keys.items():
        if count > lives:
            yield f"7: {about} has placed {count} orders"


def _places(told: Told) -> bool:
    return told.message.path == "/pedidos" and told.message.method == "POST"


def _states_are_final(now: Snapshot, answered: Iterable[Told]) -> Iterator[str]:
    for told in answered:
        body, path = told.body, told.message.path
        if told.status == 200 and body.get("estado") in FINAL:
            order = now.orders.get(body["id"])
            if order is None or order.fase != body["estado"]:
                yield f"9: {told.client} saw {body['id']} {body['estado']}, it is {order}"
        if told.status == 200 and path.endswith("/completar") and body["estado"] != "COMPLETADO":
            yield f"answer: {told.client} got 200 for {path} of an order that is {body['estado']}"
        if told.status == 200 and path.endswith("/cancelar") and body["estado"] != "CANCELADO":
            yield f"answer: {told.client} got 200 for {path} of an order that is {body['estado']}"


def _reads_do_not_go_back(answered: Iterable[Told]) -> Iterator[str]:
    """Who asks after an answer has come sees at least what that answer said. A 404 after a 201 would be a loss too."""
    known: dict[str, list[tuple[float, int]]] = {}
    for told in answered:
        path = told.message.path.split("/")
        if told.message.path == "/pedidos":
            if told.status == 201:
                known.setdefault(told.body["id"], []).append((told.told_at, 2))
            continue
        if path[1] != "pedidos" or told.status not in (200, 404):
            continue
        version = int(told.reply.headers["ETag"].strip('"')) if told.status == 200 and told.reply else 0
        least = max((v for at, v in known.get(path[2], ()) if at < told.asked_at), default=0)
        if version < least:
            yield f"9: {told.client} saw version {version} of {path[2]} after version {least}"
        known.setdefault(path[2], []).append((told.told_at, version))


def _movements(now: Snapshot, history: History, arrivals: Counter[str], lives: int) -> Iterator[str]:
    """Acknowledged movements stand in the ledger, each once, and an AJUSTE met the figure that it named."""
    applied: dict[str, list[Movement]] = {}
    count: Counter[str] = Counter()
    asked = {told.body_sent["motivo"]: told for told in history.told if told.message.path.endswith("/movimientos")}
    for movement in now.ledger:
        if movement.motivo in asked:
            applied.setdefault(movement.motivo, []).append(movement)
            sent = asked[movement.motivo].body_sent
            before = count[movement.producto_id]
            expected = {"ENTRADA": sent["cantidad"], "SALIDA": -sent["cantidad"], "AJUSTE": sent["cantidad"] - before}
            if movement.cantidad != expected[movement.tipo]:
                yield f"movement: {movement} applied to {before}, asked for {sent}"
            if movement.tipo == "AJUSTE" and sent["fisico_esperado"] != before:
                yield f"movement: {movement} applied to {before}, expected {sent['fisico_esperado']}"
        count[movement.producto_id] += movement.cantidad
    for motivo, told in asked.items():
        times = len(applied.get(motivo, ()))
        if times > (lives if told.key else arrivals[f"{told.client} {told.message}"]):
            yield f"movement: {motivo} was applied {times} times"
    for told in history.told:
        if told.status == 201 and told.message.path.endswith("/movimientos"):
            ids = [movement.id for movement in applied.get(told.body["motivo"], ())]
            if told.body["id"] not in ids:
                yield f"9: {told.client} was told 201 for movement {told.body}, which is not in the ledger"
