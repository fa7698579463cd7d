"""What a process writes, in a process: logging is configured once and for all."""

import json
import os
import re
import subprocess
import sys

import pytest

from comanda.common.telemetry import request_id
from comanda.testing import FakeClock

PROGRAM = """
import logging, structlog
from comanda.common.settings import ServiceSettings
from comanda.common.telemetry import configure_logging

configure_logging(ServiceSettings(port=0, database_url="sqlite:///x"), "cosas")
log = structlog.get_logger()
structlog.contextvars.bind_contextvars(request_id="mio")
log.debug("too fine")
log.info("hello", path="a\\nb", title="\\x9b31m\\u202e")
logging.getLogger("library").warning("from %s", "outside")
logging.getLogger("library").info("too fine")
try:
    secreto = "s3cret"
    raise ValueError("broken")
except ValueError:
    log.exception("failed")
    logging.getLogger("library").exception("failed too")
"""


def output(**environment: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


class TestConfigureLogging:
    def test_json_lines(self) -> None:
        lines = [json.loads(line) for line in output()]
        assert [line["event"] for line in lines] == ["hello", "from outside", "failed", "failed too"]
        assert {(line["servicio"], line["request_id"]) for line in lines} == {("cosas", "mio")}
        assert [line["level"] for line in lines] == ["info", "warning", "error", "error"]
        assert (lines[0]["path"], lines[0]["title"]) == ("a\nb", "\x9b31m\u202e")
        assert lines[0]["timestamp"].endswith("Z")
        assert all("ValueError: broken" in line["exception"] for line in lines[2:])

    def test_text(self) -> None:
        text = "\n".join(output(COMANDA_LOG_FORMAT="text"))
        assert "from outside" in text
        assert "ValueError: broken" in text
        assert "s3cret'" not in text
        assert "│" not in text
        assert "title=\\x9b31m\\u202e" in re.sub(r"\x1b\[[0-9;]*m", "", text)

    def test_level(self) -> None:
        lines = [json.loads(line) for line in output(COMANDA_LOG_LEVEL="error")]
        assert "hello" not in {line["event"] for line in lines}


class TestRequestId:
    @pytest.mark.parametrize("header", ["a", "A.b_c-9", "x" * 128])
    def test_kept(self, header: str) -> None:
        assert request_id(header, FakeClock()) == header

    @pytest.mark.parametrize("header", [None, "", "x" * 129, "a b", "a\n", "é"])
    def test_new(self, header: str | None) -> None:
        assert request_id(header, FakeClock()) == str(FakeClock().new_id())


class TestFullDisk:
    def test_loses_lines_and_stops_nothing(self) -> None:
        program = PROGRAM + "\nimport sys\nsys.stderr.write('went on')"
        with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
            done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.stderr.startswith("went on"), done.stderr
