"""Asks PyPI whether anything that Comanda installs is known to be vulnerable.

Exit 1: it is, and `audit-ignore` does not say why that may stay. When PyPI cannot be asked, it says so and exits 0: a
machine without network can check everything else.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOOLS = HERE.parent / ".venv" / "bin"
EXPORT = (TOOLS / "uv", "export", "--quiet", "--frozen", "--no-dev", "--all-packages", "--no-emit-workspace")
AUDIT = (TOOLS / "pip-audit", "--requirement", "/dev/stdin", "--no-deps", "--disable-pip", "--format", "json")
QUIETLY = ("--progress-spinner", "off", "--timeout", "5")
LONGEST_SECONDS = 60


def main() -> int:
    locked = subprocess.run(EXPORT, cwd=HERE.parent, capture_output=True, text=True, check=True).stdout
    answer, reason = ask(locked)
    lines, code = judge(answer, reason, reasons((HERE / "audit-ignore").read_text()))
    print("\n".join(lines))
    return code


def ask(locked: str) -> tuple[Mapping[str, Any] | None, str]:
    """What pip-audit found, or why it could not look."""
    try:
        run = subprocess.run(
            (*AUDIT, *QUIETLY), input=locked, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
        )
        found: Mapping[str, Any] = json.loads(run.stdout)
    except subprocess.TimeoutExpired:
        return None, f"no answer in {LONGEST_SECONDS} seconds"
    except ValueError:
        return None, run.stderr.strip()[-300:]
    return found, ""


def judge(answer: Mapping[str, Any] | None, reason: str, ignored: Mapping[str, str]) -> tuple[list[str], int]:
    """What to say, and the exit code."""
    dependencies = answer["dependencies"] if answer else []
    skipped = sorted(entry["name"] for entry in dependencies if "skip_reason" in entry)
    audited = [entry for entry in dependencies if "skip_reason" not in entry]
    lines, found = [], 0
    for entry in audited:
        for fault in entry["vulns"]:
            names = {fault["id"], *fault["aliases"]}
            why = next((ignored[name] for name in sorted(names) if name in ignored), None)
            fixed = ", ".join(fault["fix_versions"]) or "no release"
            known = f"{entry['name']} {entry['version']}: {fault['id']}, fixed in {fixed}"
            lines.append(f"ignored: {known}: {why}" if why else f"VULNERABLE: {known}")
            found += not why
    if not audited:
        lines.append(f"WARNING: NOTHING WAS AUDITED: PyPI does not say what is vulnerable. {reason}".rstrip())
    elif skipped:
        lines.append(f"WARNING: not audited: {', '.join(skipped)}")
    return [*lines, f"audit: {len(audited)} packages, {found} known vulnerabilities"], min(found, 1)


def reasons(text: str) -> dict[str, str]:
    """From lines `ID reason`; `#` begins a comment.

    Raises:
        ValueError: an id without a reason.
    """
    ignored = {}
    for line in text.splitlines():
        name, _, why = line.partition("#")[0].strip().partition(" ")
        if name and not why:
            raise ValueError(f"audit-ignore: {name} has no reason")
        if name:
            ignored[name] = why.strip()
    return ignored


if __name__ == "__main__":
    sys.exit(main())
