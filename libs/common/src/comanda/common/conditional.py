"""Conditional requests (RFC 9110 §13): versions of resources as strong entity tags."""

import re
from collections.abc import Collection
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from comanda.common.headers import header
from comanda.common.problems import DatosInvalidos, VersionObsoleta

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
ANY = "*"


def etag(version: int) -> str:
    """The entity tag of a resource's version."""
    return f'"{version}"'


def parse_tags(name: str, header: str | None) -> Collection[str] | None:
    """The tags of an `If-Match` or `If-None-Match` header; None when it is absent.

    Raises:
        DatosInvalidos: the header is not a list of entity tags.
    """
    if header is None:
        return None
    if header.strip() == ANY:
        return (ANY,)
    tags = _TAG.findall(header)  # a tag may itself contain a comma
    if not tags or _TAG.sub("", header).strip(", \t"):
        raise DatosInvalidos.of(name, "No es una lista de ETag.")
    return tags


class Precondition:
    """The `If-Match` of a request, checked against the version that the transaction has locked."""

    def __init__(self, tags: Collection[str] | None = None) -> None:
        self._tags = tags

    def check(self, version: int) -> None:
        """Raises `VersionObsoleta` (412) unless the client named this version, any version, or none at all."""
        if self._tags is not None and ANY not in self._tags and etag(version) not in self._tags:
            raise VersionObsoleta(headers={"ETag": etag(version)})


async def _if_match(
    if_match: Annotated[str | None, Header(description="ETag de la versión que se espera")] = None,
) -> Precondition:
    return Precondition(parse_tags("If-Match", if_match))


IfMatch = Annotated[Precondition, Depends(_if_match)]


def not_modified(request: Request, tag: str) -> Response | None:
    """A 304 when the client's `If-None-Match` names the current tag (weak comparison), else None."""
    known = header(request, b"if-none-match")
    if known is None or (known != tag and not _names(known, tag)):
        return None
    return Response(status_code=304, headers={"ETag": tag})


def _names(if_none_match: str, tag: str) -> bool:
    tags = parse_tags("If-None-Match", if_none_match) or ()
    return ANY in tags or any(candidate.removeprefix("W/") == tag for candidate in tags)
