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
    _: Annotated[Principal, allow(ENDED_SCOPE)],
) -> Any:
    # Before the list: who gets a newer list than its tag says fetches it once more, and nobody keeps an older one.
    edicion = await servicio.edicion()
    tag = f'"{hashlib.sha256(edicion.encode()).hexdigest()[:32]}"'
    unchanged = not_modified(request, tag)
    if unchanged:
        return unchanged
    body = '{"terminadas":[' + ",".join(f'"{one}"' for one in await servicio.listar()) + "]}"
    return Response(body, media_type="application/json", headers={"ETag": tag})
