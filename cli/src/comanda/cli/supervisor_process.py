"""`python -m comanda.cli.supervisor_process`: the supervisor; its programs hear signals from their first moment on."""

import os
import signal

from supervisor import supervisord

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""What the supervisor has handlers for, which a new process has, too, until it becomes its program."""


def hear_in_children() -> None:
    """Has a process that was just forked end by a signal, instead of noting it for a handler that never runs.

    A program that was told to stop in that moment would go on, and be killed when its time to stop is over.
    """
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_forget_handlers)


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _forget_handlers() -> None:
    for stop in STOPS:
        signal.signal(stop, signal.SIG_DFL)
    _release()


if __name__ == "__main__":
    hear_in_children()
    supervisord.main()
