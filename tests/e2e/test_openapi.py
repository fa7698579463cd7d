"""Every route of every service against its own OpenAPI document: what it says is what it does, whatever it is sent."""

import re
from typing import Any

import httpx2
import pytest
import schemathesis
from e2e.helpers import ADMIN
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from comanda.cli.api import slug
from comanda.cli.installation import Installation
from comanda.common.clock import SystemClock
from comanda.common.tokens import ServiceSigner, SigningKey

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LONGEST_URL = 10_000
"""Characters. The HTTP parser below the services refuses what is much longer by itself, in plain text."""

ENDLESS = {"/pedidos/eventos"}
"""Answered without an end."""

PROFILE = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.parametrize("service", ["auth", "productos", "inventario", "pedidos"])
class TestEveryRoute:
    @pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
    def test_answers_as_described(self, comanda: Installation, service: str, mode: GenerationMode) -> None:
        schema = schemathesis.openapi.from_url(f"{comanda.address(service)}/openapi.json")
        user = comanda.api().login(*ADMIN).headers(service)
        operations = [result.ok() for result in schema.get_all_operations()]
        operations = [operation for operation in operations if operation.path not in ENDLESS]
        assert operations
        for operation in operations:
            writes_reservations = operation.path.startswith("/reservas/") and operation.method != "get"
            _exercise(operation, mode, _as_pedidos(comanda) if writes_reservations else user)


@pytest.mark.parametrize("service", ["auth", "productos", "inventario", "pedidos"])
class TestEveryProtectedRoute:
    @pytest.mark.parametrize("content", [b"", b"{", b"{}"])
    def test_needs_a_token(self, comanda: Installation, service: str, content: bytes) -> None:
        paths = httpx2.get(f"{comanda.address(service)}/openapi.json").json()["paths"]
        protected = [
            (method, re.sub(r"{\w+}", "01a20bc8-05a2-772e-b2ff-8a8720e66349", path))
            for path, methods in paths.items()
            for method, operation in methods.items()
            if "security" in operation
        ]
        assert protected
        for method, path in protected:
            answer = httpx2.request(method, comanda.address(service) + path, content=content)
            assert (answer.status_code, slug(answer)) == (401, "no-autenticado"), (method, path)


def _exercise(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> None:
    @PROFILE
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers_as_described(case: Any) -> None:
        assume(len(case.as_transport_kwargs()["url"]) + len(str(case.query)) < LONGEST_URL)
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    try:
        answers_as_described()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE
        takes_input = operation.body or list(operation.iter_parameters())
        assert not takes_input, "only what takes no input has no invalid one"


def _as_pedidos(comanda: Installation) -> dict[str, str]:
    key = SigningKey.from_pem((comanda.data / "keys" / "pedidos.pem").read_bytes())
    return {"Authorization": f"Bearer {ServiceSigner('pedidos', key, SystemClock()).token('inventario')}"}
