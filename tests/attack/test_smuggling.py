"""A second request hidden in the first: two readers of one connection must not disagree on where a request ends."""

from collections.abc import Iterator

import pytest
from attack.door import Door, auth_process, status

pytestmark = pytest.mark.proc

HIDDEN = b"GET /auth/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
FOLLOWING = b"GET /auth/following HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with auth_process(tmp_path_factory.mktemp("smuggling"), AUTH_LOG_LEVEL="error") as door:
        yield door


def post(headers: bytes, body: bytes, path: bytes = b"/auth/first") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + FORM + headers + b"\r\n" + body


class TestWithoutAttack:
    """What the attacks differ from by one thing."""

    @pytest.mark.parametrize(
        "first",
        [
            post(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN),
            post(b"Transfer-Encoding: chunked\r\n", CHUNK),
            post(b"", b""),
        ],
        ids=["length", "chunked", "empty"],
    )
    def test_each_request_has_its_answer(self, door: Door, first: bytes) -> None:
        answer = door.exchange(first + FOLLOWING)
        assert answer.count(b"HTTP/1.1 404") == 2
        assert answer.index(b"/auth/first") < answer.index(b"/auth/following")
        assert b"hidden" not in answer


AMBIGUOUS: dict[str, bytes] = {
    "length-and-chunked": post(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN),
    "chunked-and-length": post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"0\r\n\r\n" + HIDDEN),
    "length-zero-and-chunked": post(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", CHUNK),
    "two-lengths": post(b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(HIDDEN), HIDDEN),
    "two-lengths-reversed": post(b"Content-Length: %d\r\nContent-Length: 0\r\n" % len(HIDDEN), HIDDEN),
    "two-equal-lengths": post(b"Content-Length: 0\r\nContent-Length: 0\r\n", HIDDEN),
    "list-of-lengths": post(b"Content-Length: 0, %d\r\n" % len(HIDDEN), HIDDEN),
    "length-with-a-sign": post(b"Content-Length: +0\r\n", HIDDEN),
    "length-negative": post(b"Content-Length: -1\r\n", HIDDEN),
    "length-hexadecimal": post(b"Content-Length: 0x0\r\n", HIDDEN),
    "length-with-a-letter": post(b"Content-Length: 0a\r\n", HIDDEN),
    "length-with-a-space-inside": post(b"Content-Length: 0 0\r\n", HIDDEN),
    "length-beyond-64-bits": post(b"Content-Length: 18446744073709551616\r\n", HIDDEN),
    "length-empty": post(b"Content-Length:\r\n", HIDDEN),
    "space-before-the-colon": post(b"Content-Length : %d\r\n" % len(HIDDEN), HIDDEN),
    "space-before-the-colon-of-chunked": post(b"Transfer-Encoding : chunked\r\n", CHUNK),
    "chunked-not-last": post(b"Transfer-Encoding: chunked, identity\r\n", CHUNK),
    "chunked-unknown": post(b"Transfer-Encoding: xchunked\r\n", CHUNK),
    "folded-header": post(b"X-A: a\r\n Content-Length: 0\r\n", HIDDEN),
    "folded-chunked": post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNK),
    "nul-in-a-header": post(b"X-A: a\0b\r\n", HIDDEN),
    "bare-cr-in-a-header": post(b"X-A: a\rContent-Length: 4\r\n", HIDDEN),
    "space-in-a-name": post(b"Content Length: 4\r\n", HIDDEN),
    "chunk-size-not-hexadecimal": post(b"Transfer-Encoding: chunked\r\n", b"xyz\r\n" + HIDDEN),
    "chunk-size-negative": post(b"Transfer-Encoding: chunked\r\n", b"-1\r\n" + HIDDEN),
    "chunk-size-with-0x": post(b"Transfer-Encoding: chunked\r\n", b"0x0\r\n\r\n" + HIDDEN),
    "chunk-size-beyond-64-bits": post(b"Transfer-Encoding: chunked\r\n", b"1" + b"0" * 16 + b"\r\n" + HIDDEN),
    "chunk-longer-than-its-size": post(b"Transfer-Encoding: chunked\r\n", b"1\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "version-unknown": b"GET /auth/first HTTP/9.9\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "header-without-a-colon": post(b"Content-Length\r\n", HIDDEN),
    "request-line-with-lf": b"GET /auth/first HTTP/1.1\nHost: localhost\n\n" + HIDDEN,
    "header-with-lf": b"POST /auth/first HTTP/1.1\r\nHost: localhost\nContent-Length: 4\r\n\r\n" + HIDDEN,
    "chunk-with-lf": post(b"Transfer-Encoding: chunked\r\n", b"0\n\n" + HIDDEN),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
class TestAmbiguous:
    def test_is_refused_and_the_connection_closed(self, door: Door, name: str) -> None:
        answer = door.exchange(AMBIGUOUS[name] + FOLLOWING)
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"hidden" not in answer
        assert b"following" not in answer
