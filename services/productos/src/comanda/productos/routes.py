"""HTTP ↔ use cases of productos."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from comanda.common.conditional import IfMatch, etag, not_modified
from comanda.common.direct import direct
from comanda.common.pagination import Ids, PageQuery, Pagina, page_body
from comanda.common.problems import NoEncontrado, VersionObsoleta, describe
from comanda.common.requests import Line, document, router
from comanda.common.security import allow
from comanda.common.tokens import Principal
from comanda.productos.domain import Producto, SkuEnUso
from comanda.productos.repository import Orden
from comanda.productos.schemas import ProductoCambios, ProductoDocumento, ProductoNuevo
from comanda.productos.service import Catalogo

routes = router(prefix="/productos", tags=["productos"])

Lector = Annotated[Principal, allow("productos:leer")]
Editor = Annotated[Principal, allow("productos:escribir")]


async def _catalogo(request: Request) -> Catalogo:
    catalogo: Catalogo = request.app.state.service
    return catalogo


Servicio = Annotated[Catalogo, Depends(_catalogo)]


def _documento(producto: Producto, request: Request, response: Response) -> ProductoDocumento:
    response.headers["ETag"] = etag(producto.version)
    return ProductoDocumento.de(producto, request.app.state.wiring.settings.moneda)


@routes.post("", status_code=201, responses=describe(SkuEnUso), summary="Add a product")
async def crear(
    datos: ProductoNuevo, servicio: Servicio, request: Request, response: Response, _: Editor
) -> ProductoDocumento:
    producto = await servicio.crear(
        sku=datos.sku, nombre=datos.nombre, descripcion=datos.descripcion, precio_centimos=datos.precio
    )
    response.headers["Location"] = f"/productos/{producto.id}"
    return _documento(producto, request, response)


@routes.get("", response_model=Pagina[ProductoDocumento], summary="Search the catalogue")
@direct
async def listar(
    servicio: Servicio,
    page: PageQuery,
    request: Request,
    _: Lector,
    ids: Ids,
    buscar: Annotated[Line, Query(max_length=100, description="parte del nombre, la descripción o el SKU")] = "",
    activo: bool | None = None,
    ordenar: Orden = "nombre",
) -> Response:
    found = await servicio.listar(ids.page(page, request), orden=ordenar, buscar=buscar, activo=activo, ids=ids.values)
    moneda = request.app.state.wiring.settings.moneda
    return page_body(found.map(lambda producto: ProductoDocumento.de(producto, moneda)), request)


@routes.get(
    "/{producto_id}", response_model=ProductoDocumento, responses=describe(NoEncontrado), summary="Read a product"
)
@direct
async def consultar(producto_id: UUID, servicio: Servicio, request: Request, _: Lector) -> Response:
    producto = await servicio.consultar(producto_id)
    tag = etag(producto.version)
    return not_modified(request, tag) or document(
        ProductoDocumento.de(producto, request.app.state.wiring.settings.moneda), {"ETag": tag}
    )


@routes.patch("/{producto_id}", responses=describe(NoEncontrado, VersionObsoleta, SkuEnUso), summary="Change a product")
async def modificar(
    producto_id: UUID,
    datos: ProductoCambios,
    servicio: Servicio,
    if_match: IfMatch,
    request: Request,
    response: Response,
    _: Editor,
) -> ProductoDocumento:
    producto = await servicio.modificar(producto_id, datos.cambios(), if_match)
    return _documento(producto, request, response)


@routes.delete(
    "/{producto_id}",
    status_code=204,
    response_class=Response,
    responses=describe(NoEncontrado, VersionObsoleta),
    summary="Withdraw a product",
)
async def retirar(producto_id: UUID, servicio: Servicio, if_match: IfMatch, _: Editor) -> None:
    await servicio.retirar(producto_id, if_match)
