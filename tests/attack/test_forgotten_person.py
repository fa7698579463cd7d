"""Who has had their account erased is found by nobody, in whatever service; what they ordered is still there."""

from typing import Any
from uuid import uuid4

import pytest
from attack.target import PASSWORD, SERVICES, Target
from contract.system import all_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOMBRE = "Doña Perfecta Rey"


async def test_orders_stay_without_the_person(target: Target) -> None:
    email = f"{uuid4().hex}@ejemplo.es"
    body = {"email": email, "password": PASSWORD, "nombre": NOMBRE}
    person = (await target.auth.post("/auth/usuarios", json=body)).json()["id"]
    order = await target.pedir(person, await target.system.producto(10))
    assert order.status_code == 201, order.text
    before = await _order(target, order.json()["id"])

    erased = await target.auth.post("/auth/yo/borrar", json={"password": PASSWORD}, headers=target.cliente(person))
    assert erased.status_code == 204, erased.text

    assert await _order(target, before["id"]) == before
    assert before["cliente_id"] == person
    shown = str([await _shown(target, service) for service in SERVICES]).casefold()
    assert person in shown
    assert email not in shown
    assert NOMBRE.casefold() not in shown


async def _order(target: Target, pedido_id: str) -> Any:
    return (await target.system.pedidos.get(f"/pedidos/{pedido_id}", headers=target.admin)).json()


async def _shown(target: Target, service: str) -> Any:
    """All that an administrator sees there."""
    paths = {"auth": ["/auth/usuarios"], "inventario": ["/inventario", "/reservas"]}.get(service, [f"/{service}"])
    return [await all_of(target.clients[service], path, target.admin) for path in [*paths, f"/{service}/auditoria"]]
