"""Kinds of damage that can be done by hand to the databases, and what is to become of each."""

from dataclasses import dataclass, field

STOCK, UNITS = 10, 2
HOURS_AGO = "2026-01-01 00:00:00.000000"
NEVER = "9999-01-01 00:00:00.000000"
NO_RESERVATION = "reserva ACTIVA o EXPIRADA"
NOT_HELD = (3, "suma de sus reservas ACTIVA", str(UNITS))
"""The stock counts as reserved what no reservation holds."""

HOLD_FIVE = ("inventario", "UPDATE reserva_lineas SET cantidad = 5 WHERE pedido_id = :order")


@dataclass(frozen=True)
class Case:
    """One kind of damage.

    Args:
        begins: how far its order gets before the damage.
        sql: in which database, and what; `:order`, `:product` are its ids.
        found: invariant, part of what is expected, and what is found.
        mended: the invariants of those of them that are gone after `--repair`.
        advice: part of what is said of the others, of each.
        ends: how order, reservation, `fisico` and `reservado` are at the end; None: there is no such row.
    """

    begins: str
    sql: list[tuple[str, str]]
    found: list[tuple[int, str, str]]
    ends: tuple[str, str, int | None, int | None]
    mended: tuple[int, ...] = ()
    advice: dict[int, str] = field(default_factory=dict)


def order(change: str) -> tuple[str, str]:
    return "pedidos", f"UPDATE pedidos SET {change}, next_attempt_at = '{NEVER}' WHERE id = :order"  # noqa: S608


def reservation(change: str) -> tuple[str, str]:
    return "inventario", f"UPDATE reservas SET {change} WHERE pedido_id = :order"  # noqa: S608


def history(version: int) -> tuple[str, str]:
    return "pedidos", f"DELETE FROM historial WHERE pedido_id = :order AND version = {version}"  # noqa: S608


def stock(change: str) -> tuple[str, str]:
    return "inventario", f"UPDATE existencias SET {change} WHERE producto_id = :product"  # noqa: S608


def standing_still(fase: str) -> tuple[str, str]:
    return order(f"fase = '{fase}', actualizado_en = '{HOURS_AGO}'")


def stuck(fase: str) -> tuple[int, str, str]:
    return 8, "otra fase a los 1201 s", f"{fase} desde 2026-01-01T00:00:00Z"


CASES = {
    "1_reservado_mayor_que_fisico": Case(
        "CANCELADO",
        [stock(f"reservado = {STOCK + 1}")],
        [(1, "0 ≤ reservado ≤ fisico", f"reservado {STOCK + 1}, fisico {STOCK}"), (3, "reservado 0", f"{STOCK + 1}")],
        ("CANCELADO", "LIBERADA", STOCK, STOCK + 1),
        advice={1: "contar la mercancía", 3: "poner reservado a la suma"},
    ),
    "2_fisico_sin_movimiento": Case(
        "CANCELADO",
        [stock("fisico = fisico + 3")],
        [(2, f"fisico {STOCK} (suma de sus movimientos)", f"{STOCK + 3}")],
        ("CANCELADO", "LIBERADA", STOCK + 3, 0),
        advice={2: "un movimiento cambia fisico y su suma a la vez"},
    ),
    "2_movimiento_borrado": Case(
        "COMPLETADO",
        [("inventario", "DELETE FROM movimientos WHERE pedido_id = :order")],
        [(2, f"fisico {STOCK}", f"{STOCK - UNITS}")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        advice={2: "el movimiento que falta o sobra"},
    ),
    "3_reservado_de_menos": Case(
        "RESERVADO",
        [stock("reservado = 0")],
        [(3, f"reservado {UNITS} (suma de sus reservas ACTIVA)", "0")],
        ("RESERVADO", "ACTIVA", STOCK, 0),
        advice={3: "ningún caso de uso cambia solo reservado"},
    ),
    "3_existencias_borradas": Case(
        "RESERVADO",
        [("inventario", "DELETE FROM existencias WHERE producto_id = :product")],
        [(3, f"reservado {UNITS} (suma de sus reservas ACTIVA)", "ninguna fila de existencias")],
        ("RESERVADO", "ACTIVA", None, None),
        advice={3: "ningún caso de uso repone una fila de existencias"},
    ),
    "4_completado_con_reserva_activa": Case(
        "RESERVADO",
        [order("fase = 'COMPLETADO'")],
        [(4, "reserva CONFIRMADA", "ACTIVA")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        mended=(4,),
    ),
    "4_venta_que_parece_sin_hacer": Case(
        "COMPLETADO",
        [reservation("estado = 'ACTIVA'")],
        [(4, "reserva CONFIRMADA", "ACTIVA"), (3, f"reservado {UNITS}", "0")],
        ("COMPLETADO", "ACTIVA", STOCK - UNITS, 0),
        advice={4: "su VENTA ya está en los movimientos", 3: "arreglar antes pedidos y reservas"},
    ),
    "4_venta_que_parece_sin_hacer_y_reservado_corregido": Case(
        "COMPLETADO",
        [reservation("estado = 'ACTIVA'"), stock(f"reservado = {UNITS}")],
        [(4, "reserva CONFIRMADA", "ACTIVA")],
        ("COMPLETADO", "ACTIVA", STOCK - UNITS, UNITS),
        advice={4: "su VENTA ya está en los movimientos"},
    ),
    "4_completado_sin_reserva": Case(
        "RESERVADO",
        [order("fase = 'COMPLETADO'"), ("inventario", "DELETE FROM reservas WHERE pedido_id = :order")],
        [(4, "reserva CONFIRMADA", "ninguna"), NOT_HELD],
        ("COMPLETADO", "ninguna", STOCK, UNITS),
        advice={4: "no cuadran: moverlas antes de corregirlas", 3: ""},
    ),
    "4_venta_olvidada": Case(
        "RESERVADO",
        [
            order("fase = 'COMPLETADO'"),
            ("inventario", "DELETE FROM reserva_lineas WHERE pedido_id = :order"),
            ("inventario", "DELETE FROM reservas WHERE pedido_id = :order"),
            stock("reservado = 0"),
        ],
        [(4, "reserva CONFIRMADA", "ninguna")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        mended=(4,),
    ),
    "4_otras_lineas": Case(
        "COMPLETADO",
        [HOLD_FIVE],
        [(4, f"reserva de {UNITS} × ", "5 × ")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        advice={4: "comparar con los movimientos VENTA"},
    ),
    "4_completando_con_otras_lineas": Case(
        "RESERVADO",
        [order("fase = 'COMPLETANDO'"), HOLD_FIVE, stock("reservado = 5")],
        [(4, f"reserva de {UNITS} × ", "5 × ")],
        ("COMPLETANDO", "ACTIVA", STOCK, 5),
        advice={4: "aún no hay venta"},
    ),
    "4_vendido_y_solo_reservado": Case(
        "COMPLETADO",
        [order("fase = 'RESERVADO'")],
        [(4, "COMPLETADO o COMPLETANDO", "RESERVADO")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        mended=(4,),
    ),
    "4_vendido_y_cancelando": Case(
        "COMPLETADO",
        [order("fase = 'CANCELANDO'")],
        [(4, "COMPLETADO o COMPLETANDO", "CANCELANDO")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        mended=(4,),
    ),
    "4_vendido_sin_pedido": Case(
        "COMPLETADO",
        [
            *(history(version) for version in range(1, 5)),
            ("pedidos", "DELETE FROM pedidos WHERE id = :order"),
        ],
        [(4, "un pedido para ella", "ninguno")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        mended=(4,),
    ),
    "5_cancelado_y_vendido": Case(
        "CANCELADO",
        [reservation("estado = 'CONFIRMADA'")],
        [(5, "ninguna reserva ACTIVA ni CONFIRMADA", "CONFIRMADA")],
        ("CANCELADO", "CONFIRMADA", STOCK, 0),
        advice={5: "decidir si la venta vale"},
    ),
    "5_cancelado_con_reserva_activa": Case(
        "RESERVADO",
        [order("fase = 'CANCELADO'")],
        [(5, "ninguna reserva ACTIVA ni CONFIRMADA", "ACTIVA")],
        ("CANCELADO", "LIBERADA", STOCK, 0),
        mended=(5,),
    ),
    "5_activa_que_las_existencias_no_cuentan": Case(
        "CANCELADO",
        [reservation(f"estado = 'ACTIVA', expira_en = '{NEVER}'")],
        [(5, "ninguna reserva ACTIVA ni CONFIRMADA", "ACTIVA"), (3, f"reservado {UNITS}", "0")],
        ("CANCELADO", "ACTIVA", STOCK, 0),
        advice={5: "no cuadran: moverlas antes de corregirlas", 3: ""},
    ),
    "6_reserva_liberada": Case(
        "RESERVADO",
        [reservation("estado = 'LIBERADA'")],
        [(6, NO_RESERVATION, "LIBERADA"), (3, "reservado 0", str(UNITS))],
        ("CANCELADO", "LIBERADA", STOCK, UNITS),
        mended=(6,),
        advice={3: "poner reservado a la suma"},
    ),
    "6_reserva_borrada": Case(
        "RESERVADO",
        [
            ("inventario", "DELETE FROM reserva_lineas WHERE pedido_id = :order"),
            ("inventario", "DELETE FROM reservas WHERE pedido_id = :order"),
        ],
        [(6, NO_RESERVATION, "ninguna"), NOT_HELD],
        ("CANCELADO", "LIBERADA", STOCK, UNITS),
        mended=(6,),
        advice={3: ""},
    ),
    "6_otras_lineas": Case(
        "RESERVADO",
        [HOLD_FIVE, stock("reservado = 5")],
        [(6, f"reserva de {UNITS} × ", "5 × ")],
        ("RESERVADO", "ACTIVA", STOCK, 5),
        advice={6: "aún no hay venta"},
    ),
    "8_cancelando_desde_hace_horas": Case(
        "RESERVADO",
        [standing_still("CANCELANDO")],
        [stuck("CANCELANDO")],
        ("CANCELADO", "LIBERADA", STOCK, 0),
        mended=(8,),
    ),
    "8_completando_desde_hace_horas": Case(
        "RESERVADO",
        [standing_still("COMPLETANDO")],
        [stuck("COMPLETANDO")],
        ("COMPLETADO", "CONFIRMADA", STOCK - UNITS, 0),
        mended=(8,),
    ),
    "8_solicitado_desde_hace_horas": Case(
        "RESERVADO",
        [standing_still("SOLICITADO")],
        [stuck("SOLICITADO")],
        ("CANCELADO", "LIBERADA", STOCK, 0),
        mended=(8,),
    ),
    "8_reserva_sin_fin": Case(
        "RESERVADO",
        [reservation("expira_en = NULL")],
        [(8, "un fin", "ninguno")],
        ("RESERVADO", "ACTIVA", STOCK, UNITS),
        advice={8: "completar o cancelar el pedido"},
    ),
}
