"""Values that the tests of the routes of inventario share."""

from typing import Any

import pytest

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""


AHORA = "2026-01-01T12:00:00Z"


ID = "01980000-0000-7000-8000-000000000001"


def alta(cantidad: Any = 10, producto: Any = ID) -> dict[str, Any]:
    return {"producto_id": producto, "cantidad": cantidad}
