import subprocess
import sys

PARENT = """
import os, signal, time
from comanda.cli.supervisor_process import hear_in_children

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("parent"))
hear_in_children()
child = os.fork()
if not child:
    time.sleep(20)  # as long as it takes to become a program
    os._exit(0)
os.kill(child, signal.SIGTERM)
_, status = os.waitpid(child, 0)
os.kill(os.getpid(), signal.SIGTERM)
print(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM, heard)
"""


class TestHearInChildren:
    def test_la_que_llega_antes_que_el_programa(self) -> None:
        """The child ends by it; the parent keeps its own handler."""
        result = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=True, timeout=60)
        assert result.stdout == "True ['parent']\n"
