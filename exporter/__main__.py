"""Where the process begins, as `stream-exporter` or `python -m exporter`: no signal is lost while the rest is imported.

As PID 1 of a container a process gets only those signals that it has a handler for.
"""

from __future__ import annotations

import os
import signal
import sys

SERVERS = ("", "serve", "demo", "simulate")
RELOADING = ("", "serve", "demo")


def run() -> None:
    """Run the command line and exit."""
    words = [word for word in sys.argv[1:2] if not word.startswith("-")]
    command = words[0] if words else ""

    def leave(number: int, _frame: object) -> None:
        # A server that is told to stop has done its work; any other command was cut short.
        raise SystemExit(0 if command in SERVERS else 128 + number)

    def lost(told: sys.UnraisableHookArgs) -> None:
        # Imports call back where Python drops exceptions: dropped with one, a stop would never come.
        if isinstance(told.exc_value, SystemExit):
            os._exit(int(told.exc_value.code or 0))
        sys.__unraisablehook__(told)

    sys.unraisablehook = lost
    signal.signal(signal.SIGTERM, leave)
    if command in RELOADING:
        # Nothing is read yet that could be read again.
        signal.signal(signal.SIGHUP, lambda *_: None)
    from exporter.cli import run as run_command

    try:
        run_command()
    finally:
        if command in RELOADING:
            # Python takes its handlers away before it is gone.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    run()
