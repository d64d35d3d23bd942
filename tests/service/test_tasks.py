"""The specification of the way out of a process: it leaves in time, and says what held it."""

import subprocess
import sys

HANGS = """
import threading
from service.tasks import leave_within

def waits_for_ever():
    threading.Event().wait()

leave_within(0.05)
threading.Thread(target=waits_for_ever).start()
"""


def test_a_process_whose_thread_hangs_ends_all_the_same_and_says_where_it_hung() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    assert "waits_for_ever" in ran.stderr
