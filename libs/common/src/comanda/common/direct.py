"""The short way to an endpoint, for the few routes that are called most.

The framework describes such a route as any other, and goes on answering whatever is unusual. The short way knows the
plain case alone: the path of the route, values that are valid, each given once. It resolves what the endpoint asks for
by a plan made once, from what the framework found in its signature; whatever it cannot resolve is left to the
framework, so there is one place where errors are worded.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_origin

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from comanda.common.requests import StrictRequest, check_body
from comanda.common.security import Allow

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])
Resolve = Callable[[Request], Awaitable[Any]]

_MARK = "__comanda_direct__"


def direct(endpoint: Endpoint) -> Endpoint:
    """Marks an endpoint that is served by the short way; stands below the decorator of its route.

    It returns a `Response`, and asks only for parts of path, query and headers, one JSON body, the `Request`,
    `allow(…)` and dependencies that await and need nothing else.
    """
    setattr(endpoint, _MARK, True)
    return endpoint


class DirectRoutes:
    """The marked routes of a service.

    Raises:
        TypeError: one of them asks for something that the short way does not know.
    """

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._plans: dict[tuple[str, int], list[_Plan]] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and hasattr(route.endpoint, _MARK):
                    plan = _Plan(route)
                    for method in route.methods or ():
                        self._plans.setdefault((method, len(plan.segments)), []).append(plan)

    async def answer(self, scope: Scope, receive: Receive, body: bytes) -> Response | None:
        """The answer to a request; None: it is for the framework."""
        segments = scope["path"].split("/")
        for plan in self._plans.get((scope["method"], len(segments)), ()):
            path_params = plan.match(segments)
            if path_params is not None:
                return await plan.answer(scope, receive, body, path_params)
        return None


class _Unusual(Exception):
    """Something that the framework has to answer."""


class _Plan:
    """How the arguments of one endpoint come about."""

    def __init__(self, route: APIRoute) -> None:
        self.segments = [(segment, _in_braces(segment)) for segment in route.path.split("/")]
        self._route = route
        for _, name in self.segments:
            if name and name not in {field.name for field in route.dependant.path_params}:
                raise TypeError(f"{route.path}: the short way knows no converters, and no part that nobody asks for")
        self._guards: dict[str, Allow] = {}
        self._resolve: dict[str, Resolve] = {}
        for name, needed in _needs(route.dependant).items():
            if isinstance(needed, Allow):
                self._guards[name] = needed
            else:
                self._resolve[name] = needed

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The parts of the path by name, if it is this route's."""
        found: dict[str, str] = {}
        for (mine, name), given in zip(self.segments, segments, strict=True):
            if given and name:
                found[name] = given
            elif mine != given:
                return None
        return found

    async def answer(
        self, scope: Scope, receive: Receive, body: bytes, path_params: Mapping[str, str]
    ) -> Response | None:
        scope["route"], scope["path_params"] = self._route, path_params
        request = StrictRequest(scope, receive, body)
        # Who may not call is told so, before anybody looks at what was sent.
        arguments: dict[str, Any] = {name: await guard(request) for name, guard in self._guards.items()}
        try:
            for name, resolve in self._resolve.items():
                arguments[name] = await resolve(request)
        except (ValidationError, _Unusual):
            return None
        response: Response = await self._route.endpoint(**arguments)
        return response


def _in_braces(segment: str) -> str:
    return segment[1:-1] if segment.startswith("{") else ""


def _needs(dependant: Dependant) -> dict[str, Resolve]:
    """How each argument of an endpoint, or of what it depends on, comes about."""
    needs: dict[str, Resolve] = {}
    for field in dependant.path_params:
        needs[field.name] = _part_of_path(field.name, _adapter(field))
    for field in dependant.query_params:
        needs[field.name] = _one_of(_in_query(field.validation_alias or field.alias), field)
    for field in dependant.header_params:
        needs[field.name] = _one_of(_in_headers(field.validation_alias or field.alias), field)
    for field in dependant.body_params:
        needs[field.name] = _body(field.field_info.annotation)
    for needed in dependant.dependencies:
        if needed.name is None:
            raise TypeError(f"{needed.call}: the short way only knows dependencies that an endpoint asks for")
        needs[needed.name] = needed.call if isinstance(needed.call, Allow) else _dependency(needed)
    if dependant.request_param_name:
        needs[dependant.request_param_name] = _itself
    unknown = inspect.signature(dependant.call or _itself).parameters.keys() - needs.keys()
    if unknown:
        raise TypeError(f"{dependant.call}: the short way cannot resolve {', '.join(unknown)}")
    return needs


def _adapter(field: Any) -> TypeAdapter[Any]:
    """What checks and converts its value, by the annotation and the constraints beside it."""
    annotation, constraints = field.field_info.annotation, field.field_info.metadata
    return TypeAdapter(Annotated[annotation, *constraints] if constraints else annotation)


async def _itself(request: Request) -> Request:
    return request


def _dependency(needed: Dependant) -> Resolve:
    call: Any = needed.call
    if not inspect.iscoroutinefunction(call):
        raise TypeError(f"{call}: the short way only knows dependencies that await")
    needs = _needs(needed)

    async def resolve(request: Request) -> Any:
        return await call(**{name: await need(request) for name, need in needs.items()})

    return resolve


def _one_of(values_in: Callable[[Request], list[str]], field: Any) -> Resolve:
    """A value that is given once, or its default."""
    if get_origin(field.field_info.annotation) in (list, set, tuple, frozenset):
        raise TypeError(f"{field.name}: the short way knows no lists")
    adapter, default = _adapter(field), field.get_default()

    async def resolve(request: Request) -> Any:
        values = values_in(request)
        if not values and not field.field_info.is_required():
            return default
        if len(values) != 1:
            raise _Unusual
        return adapter.validate_python(values[0])

    return resolve


def _in_query(alias: str) -> Callable[[Request], list[str]]:
    return lambda request: request.query_params.getlist(alias) if request.scope["query_string"] else []


def _in_headers(alias: str) -> Callable[[Request], list[str]]:
    name = alias.lower().encode()
    return lambda request: [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]


def _part_of_path(name: str, adapter: TypeAdapter[Any]) -> Resolve:
    async def resolve(request: Request) -> Any:
        return adapter.validate_python(request.scope["path_params"][name])

    return resolve


def _body(model: Any) -> Resolve:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"{model}: the short way only knows a body that is one document")
    validator = model.__pydantic_validator__

    async def resolve(request: Request) -> Any:
        check_body(request, await request.body(), required=True)
        return validator.validate_python(await request.json())

    return resolve
