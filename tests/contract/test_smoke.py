from comanda.common.testing import problem
class TestX:
    async def test_it(self, system):
        p = await system.producto(stock=5)
        r = await system.pedir((p, 2), key="k1")
        print(r.text, r.headers)
        assert r.status_code == 201
        r2 = await system.pedir((p, 2), key="k1")
        assert r2.headers["Idempotent-Replayed"] == "true" and r2.text == r.text and r2.headers["etag"] == r.headers["etag"]
        assert problem(await system.pedir((p, 3), key="k1")) == "clave-idempotencia-reutilizada"
        r3 = await system.pedir((p, 4)); assert problem(r3) == "existencias-insuficientes"; print(r3.text)
        i = r.json()["id"]
        r = await system.pedidos.post(f"/pedidos/{i}/completar", headers=system.admin); assert r.status_code == 200, r.text
        print(r.text)
        assert await system.existencias(p) == (3, 0)
        r = await system.pedir((p, 1)); j = r.json()["id"]
        r = await system.pedidos.post(f"/pedidos/{j}/cancelar", headers=system.cliente()); assert r.status_code == 200, r.text
        assert await system.existencias(p) == (3, 0)
        r = await system.pedidos.get(f"/pedidos/{j}/historial", headers=system.cliente()); print(r.text)
        r = await system.pedidos.get(f"/pedidos", headers=system.cliente()); print(r.text)
        del system.network.apps["inventario"]
        r = await system.pedir((p, 1), key="k2"); print(r.text, r.headers); assert r.status_code == 503
        system.network.apps["inventario"] = system.apps["inventario"]
        r = await system.pedir((p, 1), key="k2"); print(r.text, r.headers); assert r.status_code == 201
