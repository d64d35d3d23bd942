"""The specification of the way out of a process: it leaves in time, and says what held it."""

import asyncio
import subprocess
import sys

from service.tasks import Failure, running

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


async def test_a_part_whose_clean_up_waits_for_a_silent_peer_is_told_again() -> None:
    said: list[str] = []

    async def part() -> None:
        try:
            said.append("began")
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.Event().wait()
            finally:
                said.append("cut off")

    async with running("part", part(), Failure(), stop_s=0.02):
        await asyncio.sleep(0)
    assert said == ["began", "cut off"]
