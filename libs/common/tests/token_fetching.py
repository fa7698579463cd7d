"""An issuer in memory, for who fetches its key set."""

import asyncio
from typing import Any

from token_forging import jwks

from comanda.common.tokens import SigningKey


class FakeFetch:
    def __init__(self, *keys: SigningKey) -> None:
        self.document: Any = jwks(*keys)
        self.calls = 0

    async def __call__(self, url: str) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


class HangingFetch(FakeFetch):
    """Answers when it is opened."""

    def __init__(self, *keys: SigningKey) -> None:
        super().__init__(*keys)
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, url: str) -> Any:
        answer = await super().__call__(url)
        await self.open.wait()
        return answer


URL = "http://auth.test/.well-known/jwks.json"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
