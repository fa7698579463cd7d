"""Pages of other origins that may call a service: none, unless its settings name them (Fetch, CORS protocol)."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from comanda.common.settings import ServiceSettings

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",  # EventSource may send it unasked; who reads a stream by fetch, for the token's sake, may not
    "X-Request-Id",
    "X-Request-Timeout-Ms",
)
EXPOSED = ("ETag", "Link", "Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed", "WWW-Authenticate")


def across_origins(app: ASGIApp, settings: ServiceSettings) -> ASGIApp:
    """The same for those origins; without any, the application itself, at no cost.

    Never with credentials: tokens travel in a header that a page sets itself, and the cookie of auth is for pages of
    its own address alone.
    """
    if not settings.cors_origin_list:
        return app
    return CORSMiddleware(
        app,
        allow_origins=settings.cors_origin_list,
        allow_methods=METHODS,
        allow_headers=SENT,
        expose_headers=EXPOSED,
    )
