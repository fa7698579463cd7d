"""The headers of a request as they came; Starlette's own mapping decodes every one of them on the way to one."""

from starlette.requests import Request


def header(request: Request, name: bytes) -> str | None:
    """The first of that name, which is in lower case; None: there is none."""
    for key, value in request.scope["headers"]:
        if key == name:
            found: str = value.decode("latin-1")
            return found
    return None
