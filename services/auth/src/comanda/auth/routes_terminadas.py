"""HTTP ↔ what has ended, for the services that verify tokens by themselves."""

import hashlib
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from comanda.auth.schemas_terminadas import TerminadasDocumento
from comanda.auth.terminadas import Terminadas
from comanda.common.conditional import not_modified
from comanda.common.requests import router
from comanda.common.revocation import ENDED_PATH, ENDED_SCOPE
from comanda.common.security import allow
from comanda.common.tokens import Principal

routes = router(tags=["sesiones"])


async def _terminadas(request: Request) -> Terminadas:
    terminadas: Terminadas = request.app.state.service.terminadas
    return terminadas


@routes.get(
    ENDED_PATH,
    response_model=TerminadasDocumento,
    summary="Whose access tokens no longer count, for services; conditional, as it is asked for every few seconds",
)
async def listar(
    servicio: Annotated[Terminadas, Depends(_terminadas)],
    request: Request,
    response: Response,
    _: Annotated[Principal, allow(ENDED_SCOPE)],
) -> Any:
    ids = await servicio.listar()
    digest = hashlib.sha256(b"".join(one.bytes for one in ids)).hexdigest()
    tag = f'"{digest[:32]}"'
    response.headers["ETag"] = tag
    return not_modified(request, tag) or TerminadasDocumento(terminadas=list(ids))
