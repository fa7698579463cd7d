"""Debian's Chromium, and what goes wrong in its pages."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

EXECUTABLE = Path("/usr/bin/chromium")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 20_000
PHONE = {"viewport": {"width": 375, "height": 812}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}

_TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser. While it runs, this thread has an event loop: no asynchronous test may run then."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=OPTIONS, headless=True)
        yield browser
        browser.close()


@dataclass
class Visits:
    """People who use the client, each in a browser profile of their own.

    Args:
        troubles: errors in the console and in scripts, and violations of the Content-Security-Policy, as they come.
    """

    browser: Browser
    address: str
    troubles: list[str] = field(default_factory=list)
    _expected: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def expect_answer(self, *status: int) -> None:
        """Answers of that status are no trouble: the test causes them. The browser tells of every one."""
        self._expected += [f"the server responded with a status of {number} " for number in status]

    def expect_no_answer(self) -> None:
        """The test keeps answers from coming."""
        self._expected.append("net::ERR_FAILED")

    @property
    def unexpected(self) -> list[str]:
        return [trouble for trouble in self.troubles if not any(text in trouble for text in self._expected)]

    def new(self, path: str = "", *, locale: str = "es-ES", script: str = "", **options: Any) -> Page:
        """The page that a new visitor has before them, at that path of the client (`#/tienda`).

        Args:
            script: runs before those of the client.
        """
        context = self.browser.new_context(base_url=self.address, locale=locale, **(DESKTOP | options))
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(_TELL_VIOLATIONS + script)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.troubles.append(f"uncaught: {error.error}"))
        page = context.new_page()
        page.goto(f"/{path}")
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(
                f"{message.type}: {message.text} ({re.sub('^https?://[^/]*', '', message.location['url'])})"
            )


def until(page: Page, succeeds: Callable[[], Any]) -> None:
    """Lets the browser go on until something holds that its pages do not show."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not succeeds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)
