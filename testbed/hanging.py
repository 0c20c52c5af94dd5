"""Runs a command on a machine with a mount that hangs: `python testbed/hanging.py DIRECTORY COMMAND …`.

The mount is a FUSE file system that nobody answers for: whoever looks at a file of it waits for ever, as on a dead NFS
server. It lives in a name space of its own, needs no privileges, and ends with the command.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def hanging(directory: Path, command: Sequence[str]) -> list[str]:
    """Return the command that runs a command, as the same process, where `directory` hangs."""
    return ["unshare", "--user", "--map-root-user", "--mount", sys.executable, __file__, str(directory), *command]


def can_hang(directory: Path) -> bool:
    """Say whether this machine lets anybody mount a FUSE file system."""
    if shutil.which("unshare") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return False
    done = subprocess.run(hanging(directory, ["true"]), capture_output=True, timeout=30, check=False)
    return done.returncode == 0


def main(directory: str, *command: str) -> None:
    """Mount, and become the command."""
    descriptor = os.open("/dev/fuse", os.O_RDWR)
    # Held open by the command, which is not the wiser for it.
    os.set_inheritable(descriptor, True)
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0".encode()
    if ctypes.CDLL(None, use_errno=True).mount(b"hanging", os.fsencode(directory), b"fuse", 0, options) != 0:
        raise SystemExit(os.strerror(ctypes.get_errno()))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
