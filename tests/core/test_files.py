"""Files that are none, and disks that hang: refused or given up, in words, without holding anybody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter import files


def fifo(path: Path) -> None:
    """Make a pipe."""
    os.mkfifo(path)


def listening(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (fifo, "it is a pipe, not a regular file"),
        (listening, "it is a socket, not a regular file"),
        (Path.mkdir, "Is a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (lambda _path: None, "No such file or directory"),
    ],
)
def test_anything_but_a_file_is_refused_with_its_kind(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """Pipes, sockets, directories and devices are refused at once, and the error says what they are."""
    path = tmp_path / "odd"
    make(path)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its words are looked at
        files.read(path, 100)
    assert files.problem(caught.value) == f"cannot be read: {words}"


def test_a_file_is_read_as_far_as_allowed(tmp_path: Path) -> None:
    """Symbolic links are followed, and no more is read than requested."""
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert files.read(tmp_path / "link", 4) == b"0123"
    assert files.read(tmp_path / "link", 100) == b"0123456789"


@contextmanager
def hanging() -> Iterator[Callable[[], str]]:
    """Return a function that hangs until the block ends."""
    end = threading.Event()

    def hang() -> str:
        end.wait(60)
        return "done"

    try:
        yield hang
    finally:
        end.set()


def test_a_call_that_hangs_is_abandoned_with_a_message() -> None:
    """The caller waits up to its limit, and does not wait again while the first call still hangs."""
    with hanging() as hang:
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(TimeoutError) as caught:
                files.within(0.05, "one", hang)
            assert files.problem(caught.value).startswith("could not be read in 0.05 s: ")
            assert time.monotonic() - started < 5


def test_a_thousand_tries_cost_a_few_threads() -> None:
    """Repeated calls for something that hangs take only a few threads."""
    with hanging() as hang:
        before = threading.active_count()
        for _ in range(1000):
            with pytest.raises(TimeoutError):
                files.within(0.001, "again", hang)
        assert threading.active_count() <= before + 3


def test_what_hung_is_tried_again_once_it_has_ended() -> None:
    """A disk that has recovered is read at once."""
    with hanging() as hang, pytest.raises(TimeoutError):
        files.within(0.01, "back", hang)
    end = time.monotonic() + 60
    while True:
        try:
            assert files.within(5, "back", lambda: "here") == "here"
            return
        except TimeoutError:
            # The thread that hung has not ended yet.
            assert time.monotonic() < end


def test_threads_are_used_again() -> None:
    """A hundred consecutive operations take a few threads, not a hundred."""
    names = {files.within(10, number, threading.get_ident) for number in range(100)}
    assert len(names) <= files.MOST_IDLE + 2


def test_the_end_of_the_process_does_not_wait() -> None:
    """A process can exit even though a thread that reads a file hangs."""
    code = (
        "import threading\nfrom exporter import files\n"
        "try: files.within(0.01, 'x', threading.Event().wait)\nexcept TimeoutError: print('given up')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
