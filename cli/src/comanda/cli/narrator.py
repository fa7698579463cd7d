"""Prints the demo's story, and checks each of its claims."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from comanda.cli.errors import CommandFailed


class Narrator:
    """Says what happened. A claim that does not hold ends the story."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._chapters = 0
        self._facts = 0

    def chapter(self, title: str) -> None:
        self._chapters += 1
        self._console.print(f"\n[bold cyan]{self._chapters}. {title}[/]")

    def fact(self, text: str) -> None:
        """Something that has been seen to be so."""
        self._facts += 1
        self._console.print(f"   [green]✓[/] {text}")

    def claim(self, text: str, found: Any, expected: Any) -> None:
        """States something after comparing what was found with what was promised.

        Raises:
            CommandFailed: if the two differ.
        """
        if found != expected:
            self._console.print(f"   [bold red]✗ {text}[/]")
            raise CommandFailed(f"{text}: expected {expected!r}, found {found!r}")
        self.fact(text)

    def table(self, *columns: str, rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, padding=(0, 1, 0, 3), header_style="dim")
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def end(self) -> None:
        self._console.print(f"\n[bold green]{self._facts} things promised, {self._facts} seen.[/]\n")
