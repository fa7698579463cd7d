import pytest
from starlette.requests import Request

from comanda.common.conditional import Precondition, etag, not_modified, parse_tags
from comanda.common.problems import DatosInvalidos, VersionObsoleta


class TestParseTags:
    @pytest.mark.parametrize(
        ("header", "tags"),
        [
            (None, None),
            ("*", ["*"]),
            (' "1" ', ['"1"']),
            ('"1", W/"2"', ['"1"', 'W/"2"']),
            ('"1,2" ,"3"', ['"1,2"', '"3"']),
            (', "1",, ""', ['"1"', '""']),
        ],
    )
    def test_list(self, header: str | None, tags: list[str] | None) -> None:
        parsed = parse_tags("If-Match", header)
        assert (None if parsed is None else list(parsed)) == tags

    @pytest.mark.parametrize("header", ["", " ", ",", "1", '"1', '1"', '"1" x', 'w/"1"', '*, "1"', '"a b"'])
    def test_malformed(self, header: str) -> None:
        with pytest.raises(DatosInvalidos) as refusal:
            parse_tags("If-Match", header)
        assert refusal.value.extras["errores"][0]["campo"] == "If-Match"


class TestPrecondition:
    @pytest.mark.parametrize("tags", [None, ["*"], ['"3"'], ['"1"', '"3"']])
    def test_holds(self, tags: list[str] | None) -> None:
        Precondition(tags).check(3)

    @pytest.mark.parametrize("tags", [['"2"'], ['W/"3"'], []])
    def test_stale(self, tags: list[str]) -> None:
        with pytest.raises(VersionObsoleta) as refusal:
            Precondition(tags).check(3)
        assert refusal.value.headers == {"ETag": '"3"'}


class TestNotModified:
    @pytest.mark.parametrize(("header", "known"), [('"3"', True), ('W/"3"', True), ("*", True), ('"2"', False)])
    def test_weak_comparison(self, header: str, known: bool) -> None:
        request = Request({"type": "http", "headers": [(b"if-none-match", header.encode())]})
        answer = not_modified(request, etag(3))
        assert (answer is not None) == known

    def test_without_the_header(self) -> None:
        assert not_modified(Request({"type": "http", "headers": []}), etag(3)) is None
