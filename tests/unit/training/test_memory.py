"""Training keeps freed memory. Tested in a process of its own, because malloc's options can't be undone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import resource, sys, threading
from training import environment

if sys.argv[1] == "kept":
    environment.start_keras(0)

def step():
    return len(b"1" * (64 << 20))

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    worker = threading.Thread(target=step)
    worker.start()
    worker.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


def _page_faults(how: str) -> int:
    command = [sys.executable, "-c", _SCRIPT, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these options of malloc")
def test_the_next_step_reuses_the_memory_of_a_step() -> None:
    assert _page_faults("kept") < _page_faults("default") / 2
