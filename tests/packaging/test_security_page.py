"""What docs/security.md says can be looked up: the tests that it names exist, and nothing open is left out."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
REQUIREMENTS, OPEN = PAGE.split("\n## ASVS 5.0\n")[1].split("\n## Open\n")
STATES = {"held", "operator", "n/a", "open"}

LAST_OF_EACH_SECTION = """
    1.1.2 1.2.9 1.3.11 1.4.3 1.5.2 2.1.3 2.2.3 2.3.4 2.4.1 3.2.2 3.3.4 3.4.6 3.5.5 3.7.2 4.1.3 4.2.1 4.3.2 4.4.4
    5.1.1 5.2.3 5.3.2 5.4.3 6.1.3 6.2.12 6.3.4 6.4.4 6.5.5 6.6.3 6.8.4 7.1.3 7.2.4 7.3.2 7.4.5 7.5.2 7.6.2
    8.1.2 8.2.3 8.3.1 8.4.1 9.1.3 9.2.4 10.1.2 10.2.2 10.3.4 10.4.11 10.5.5 10.6.2 10.7.3
    11.1.2 11.2.3 11.3.3 11.4.4 11.5.1 11.6.1 12.1.3 12.2.2 12.3.4 13.1.1 13.2.5 13.3.2 13.4.5 14.1.2 14.2.4 14.3.3
    15.1.3 15.2.3 15.3.7 16.1.1 16.2.5 16.3.4 16.4.3 16.5.3
"""
"""ASVS 5.0.0: the last requirement of level 1 or 2 in each section; those of level 3 come after it. V17 has one row."""


def rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("| V"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def numbers(cell: str) -> Iterator[str]:
    """`V1.2.6–V1.2.8, V1.3.1` are four."""
    for part in cell.split(", "):
        first, _, last = part.removeprefix("V").partition("–V")
        section, _, start = first.rpartition(".")
        end = last.rpartition(".")[2] or start
        assert (last or first).startswith(f"{section}.") or not section, cell
        yield from (f"{section}.{number}" if section else start for number in range(int(start), int(end) + 1))


@cache
def defined_in(path: str) -> set[str]:
    """`Class::test` and `test`, as pytest names them."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + n.name for n in inside if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return found


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+/test_\w+\.py)::([\w:]+)`", PAGE)
    assert len(named) == PAGE.count(".py::") > 100
    assert [f"{path}::{test}" for path, test in named if test not in defined_in(path)] == []


def test_every_requirement_of_levels_1_and_2_has_one_row() -> None:
    found = [number for cells in rows(REQUIREMENTS) for number in numbers(cells[0])]
    expected = [number for last in LAST_OF_EACH_SECTION.split() for number in _up_to(last)]
    assert sorted(found) == sorted([*expected, "17"])


def _up_to(last: str) -> Iterator[str]:
    section, _, count = last.rpartition(".")
    return (f"{section}.{number}" for number in range(1, int(count) + 1))


def test_what_is_held_says_what_shows_it() -> None:
    for number, _, _, state, shown in rows(REQUIREMENTS):
        assert state in STATES, number
        assert shown, number
        if state in ("held", "operator"):
            assert ".py::" in shown or ".md#" in shown or "](#" in shown, number


def test_nothing_open_is_left_out() -> None:
    still = [number for cells in rows(REQUIREMENTS) if cells[3] == "open" for number in numbers(cells[0])]
    repeated = [number for cells in rows(OPEN) for number in numbers(cells[0])]
    assert sorted(still) == sorted(repeated)
    assert all(len(cells) == 3 and all(cells) for cells in rows(OPEN))


def test_links_lead_somewhere() -> None:
    for target, anchor in re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", PAGE):
        path = (ROOT / "docs" / target) if target else ROOT / "docs" / "security.md"
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), (target, anchor)


@cache
def _anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
