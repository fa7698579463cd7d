"""What a worker switches off or remembers so that a run costs a third of a second. None of it changes what happens."""

import gc
from typing import Any

from sqlalchemy.sql.type_api import ExternalType, TypeEngine

from simulation.world import simulate

COLLECT_EVERY = 10
_runs = 0


def accelerate() -> None:
    """SQLAlchemy remembers the cache keys of our types, which never change; garbage is collected between runs only.

    The first run warms up the compiled statements of all later ones.
    """
    for owner in (TypeEngine, ExternalType):
        owner._static_cache_key = _remembered(owner._static_cache_key.fget)
    simulate(0)
    gc.collect()
    gc.freeze()
    gc.disable()


def tidy() -> None:
    """Between two runs."""
    global _runs  # noqa: PLW0603  # one counter for one process
    _runs += 1
    if _runs % COLLECT_EVERY == 0:
        gc.collect()


def _remembered(compute: Any) -> Any:
    def key(self: Any) -> Any:
        found = self.__dict__.get("_remembered_key")
        if found is None:
            found = self.__dict__["_remembered_key"] = compute(self)
        return found

    return property(key)
