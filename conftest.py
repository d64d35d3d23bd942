"""How the tests of this repository are shared out when two workers run them."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({"tests/integration"})
STORIES = "tests/acceptance/"
ALONE = "test_faults.py"  # of the stories: its cluster is its own


class SideBySide(LoadScopeScheduling):
    """Two workers (``-n 2``): the tests of a file stay together, and all of a folder whose service
    is started once for it.  Stories are told all at once: in one process each by the one worker,
    on clusters by the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(STORIES) and not file.endswith(ALONE):
            clustered = "on_a_cluster" in nodeid.replace(" ", "_")
            return f"{STORIES} on clusters" if clustered else STORIES
        folder = file.rpartition("/")[0]
        return folder if folder in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """Who gets which test."""
    return SideBySide(config, log)
