"""A small believable shop, entered through the HTTP interface as an administrator would."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from comanda.cli import credentials, environment
from comanda.cli.api import Api, addresses, slug
from comanda.cli.errors import CommandFailed

STOCK = 100

CATALOGUE = (
    ("CAF-001", "Café de Colombia, Huila, 250 g", "Tueste medio. Caramelo, manzana roja y cacao.", "9.90"),
    ("CAF-002", "Café de Etiopía, Yirgacheffe, 250 g", "Tueste claro. Jazmín, limón y té negro.", "11.50"),
    ("CAF-003", "Café de Brasil, Cerrado, 1 kg", "Tueste oscuro para espresso. Avellana y chocolate.", "24.00"),
    ("CAF-004", "Café descafeinado de México, 250 g", "Descafeinado con agua. Panela y nuez.", "10.20"),
    ("CAF-005", "Mezcla de la casa, 500 g", "La que servimos en barra, para cualquier cafetera.", "14.90"),
    ("MAT-001", "Molinillo manual", "Muelas cónicas de acero, 24 posiciones.", "59.00"),
    ("MAT-002", "Cafetera V60 de cerámica", "Para una o dos tazas.", "26.50"),
    ("MAT-003", "Prensa francesa, 1 l", "Vidrio de borosilicato y filtro doble.", "34.90"),
    ("MAT-004", "Filtros de papel V60, 100 unidades", "Papel sin blanquear.", "6.40"),
    ("TAZ-001", "Taza de gres, 200 ml", "Hecha a mano; apta para lavavajillas.", "15.00"),
    ("TAZ-002", "Vaso térmico, 350 ml", "Acero inoxidable. No gotea.", "22.00"),
    ("DUL-001", "Alfajores de maicena, 6 unidades", "Rellenos de dulce de leche.", "8.75"),
)


@dataclass
class Seeded:
    """How many products were new, and how many already had stock."""

    productos: int = 0
    existentes: int = 0


def command(email: str | None, password: str | None) -> None:
    variables = environment.derive(os.environ)
    seeded = seed(variables, email, password)
    print(f"{seeded.productos} products added with {STOCK} of each, {seeded.existentes} were already there.")


def seed(variables: Mapping[str, str], email: str | None = None, password: str | None = None) -> Seeded:
    """Makes sure that every product of the catalogue exists and has stock.

    Raises:
        CommandFailed: if the services do not allow it.
    """
    found = credentials.find(variables, email, password)
    seeded = Seeded()
    with Api(addresses(variables)) as nobody:
        admin = nobody.login(found.email, found.password, found.code)
        for sku, nombre, descripcion, precio in CATALOGUE:
            producto = {"sku": sku, "nombre": nombre, "descripcion": descripcion, "precio": precio}
            if _stock(admin, _product(admin, producto)):
                seeded.productos += 1
            else:
                seeded.existentes += 1
    return seeded


def _product(admin: Api, producto: dict[str, str]) -> str:
    """The id of the product, added if it is missing."""
    answer = admin.request("productos", "POST", "/productos", json=producto)
    if answer.status_code == 201:
        return str(answer.json()["id"])
    if slug(answer) == "sku-en-uso":
        for known in admin.all("productos", "/productos", buscar=producto["sku"]):
            if known["sku"] == producto["sku"]:
                return str(known["id"])
    raise CommandFailed(f"productos refused {producto['sku']}: {answer.status_code} {answer.text}")


def _stock(admin: Api, producto_id: str) -> bool:
    """Whether the product had no stock until now."""
    answer = admin.request("inventario", "POST", "/inventario", json={"producto_id": producto_id, "cantidad": STOCK})
    if answer.status_code != 201 and slug(answer) != "inventario-existente":
        raise CommandFailed(f"inventario refused stock for {producto_id}: {answer.status_code} {answer.text}")
    return answer.status_code == 201
