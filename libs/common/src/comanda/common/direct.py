"""The short way to an endpoint, for the few routes that are called most.

The framework describes such a route as any other, and goes on answering whatever is unusual. The short way knows the
plain case alone: the path of the route, no query, values that are valid. It resolves what the endpoint asks for from a
plan made once; whatever it cannot resolve is left to the framework, so there is one place where errors are worded.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from fastapi import APIRouter, params
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

    It returns a `Response`, and asks only for parts of the path, one JSON body, headers that are text, the `Request`,
    `allow(…)` and dependencies that need nothing but the `Request`.
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
                return None if scope["query_string"] else await plan.answer(scope, receive, body, path_params)
        return None


class _Unusual(Exception):
    """Something that the framework has to answer."""


class _Plan:
    """How the arguments of one endpoint come about."""

    def __init__(self, route: APIRoute) -> None:
        self.segments = route.path.split("/")
        self._route = route
        self._guards: dict[str, Allow] = {}
        self._resolve: dict[str, Resolve] = {}
        for parameter in inspect.signature(route.endpoint, eval_str=True).parameters.values():
            self._add(parameter, [segment[1:-1] for segment in self.segments if segment.startswith("{")])

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The parts of the path by name, if it is this route's."""
        found: dict[str, str] = {}
        for mine, given in zip(self.segments, segments, strict=True):
            if mine.startswith("{") and given:
                found[mine[1:-1]] = given
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

    def _add(self, parameter: inspect.Parameter, in_path: list[str]) -> None:
        name, annotation = parameter.name, parameter.annotation
        markers = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
        depends = next((marker for marker in markers if isinstance(marker, params.Depends)), None)
        header = next((marker for marker in markers if isinstance(marker, params.Header)), None)
        if depends is not None and isinstance(depends.dependency, Allow):
            self._guards[name] = depends.dependency
        elif depends is not None and depends.dependency is not None:
            self._resolve[name] = _needing_the_request(depends.dependency)
        elif header is not None:
            self._resolve[name] = _header(header.alias or name.replace("_", "-"), TypeAdapter(annotation))
        elif annotation is Request:
            self._resolve[name] = _itself
        elif name in in_path:
            self._resolve[name] = _part_of_path(name, TypeAdapter(annotation))
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            self._resolve[name] = _body(annotation)
        else:
            raise TypeError(f"{self._route.path}: {name} cannot be resolved on the short way")


async def _itself(request: Request) -> Request:
    return request


def _needing_the_request(dependency: Callable[..., Any]) -> Resolve:
    needed = inspect.signature(dependency, eval_str=True).parameters.values()
    if [parameter.annotation for parameter in needed] != [Request] or not inspect.iscoroutinefunction(dependency):
        raise TypeError(f"{dependency.__qualname__} needs more than the request, or does not await")
    return dependency


def _header(alias: str, adapter: TypeAdapter[Any]) -> Resolve:
    name = alias.lower().encode()

    async def resolve(request: Request) -> Any:
        values = [value for key, value in request.scope["headers"] if key == name]
        if len(values) > 1:
            raise _Unusual
        return adapter.validate_python(values[0].decode("latin-1") if values else None)

    return resolve


def _part_of_path(name: str, adapter: TypeAdapter[Any]) -> Resolve:
    async def resolve(request: Request) -> Any:
        return adapter.validate_python(request.scope["path_params"][name])

    return resolve


def _body(model: type[BaseModel]) -> Resolve:
    validator = model.__pydantic_validator__

    async def resolve(request: Request) -> Any:
        check_body(request, await request.body(), required=True)
        return validator.validate_python(await request.json())

    return resolve
