"""What the tests that break things share. They start real processes, and end only those."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.nursery import Nursery


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the databases, keys and logs of a cluster."""
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Starts services quickly."""
    nursery = Nursery()
    yield nursery
    nursery.close()
