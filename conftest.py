"""How the tests of this repository are shared out when two workers run them."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset({"tests/acceptance", "tests/integration"})


class SideBySide(LoadScopeScheduling):
    """Two workers (``-n 2``): the tests of a file stay together, and all of a folder whose service
    is started once for it.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """Who gets which test."""
    return SideBySide(config, log)
