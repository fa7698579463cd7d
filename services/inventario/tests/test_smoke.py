from comanda.common.testing import problem


class TestX:
    async def test_it(self, client, reservas, clock):
        p = str(clock.new_id())
        r = await client.post("/inventario", json={"producto_id": p, "cantidad": 10})
        assert r.status_code == 201, r.text
        o = clock.new_id()
        r = await reservas("PUT", o, {p: 4})
        assert r.status_code == 201, r.text
        r = await reservas("PUT", o, {p: 4})
        assert r.status_code == 200, r.text
        r = await reservas("PUT", o, {p: 5})
        assert problem(r) == "reserva-cerrada"
        o2 = clock.new_id()
        r = await reservas("PUT", o2, {p: 7})
        assert problem(r) == "existencias-insuficientes"
        print(r.text)
        r = await reservas("PUT", o2, {p: 7})
        assert problem(r) == "existencias-insuficientes"
        r = await reservas("POST", f"{o}/confirmar")
        assert r.status_code == 200, r.text
        r = await reservas("POST", f"{o}/confirmar")
        assert r.status_code == 200, r.text
        r = await reservas("POST", f"{o}/liberar")
        assert problem(r) == "reserva-confirmada"
        o3 = clock.new_id()
        r = await reservas("POST", f"{o3}/liberar")
        assert r.status_code == 200, r.text
        r = await reservas("PUT", o3, {p: 1})
        assert problem(r) == "reserva-cerrada"
        o4 = clock.new_id()
        r = await reservas("PUT", o4, {p: 6})
        assert r.status_code == 201
        clock.advance(901)
        client.headers.update()
        r = await reservas("POST", f"{o4}/confirmar")
        assert problem(r) == "reserva-cerrada"
        print(r.text)
        h = {"Idempotency-Key": "k1"}
        r = await reservas("GET", "")
        print(r.text)
