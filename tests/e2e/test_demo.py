"""`comanda demo` tells a true story."""

import re
import subprocess
import sys
from pathlib import Path


def test_termina_bien_y_limpia(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "comanda.cli", "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=90
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    told = re.search(r"(\d+) things promised, (\d+) seen", demo.stdout)
    assert told is not None
    assert told[1] == told[2]
    folder = re.search(r"ready in (\S+)", demo.stdout)
    assert folder is not None
    assert not Path(folder[1]).exists()
