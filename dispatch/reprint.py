"""Print the HTTP document: ``python -m dispatch.reprint > docs/openapi.json``."""

import sys
from typing import Any

import msgspec

from dispatch.api import make_app
from dispatch.codes import Codes
from dispatch.openapi import document
from dispatch.settings import ApiSettings, SiteSettings
from dispatch.signin import SignIn


def main() -> None:
    """Print it.  Nothing is asked of the app, so nobody stands behind its desks."""
    nobody: Any = None
    everybody: Any = object()
    codes = Codes(lambda: "", ttl_s=1, codes_max=1)
    signin = SignIn(
        codes=codes, seal=nobody, unseal=nobody, token=nobody, feeds_url="", site=SiteSettings(),
        now_ms=lambda: 0,
    )  # fmt: skip
    app = make_app(
        nobody, nobody, nobody, ApiSettings(), lambda: 0, signin=signin, maps=nobody,
        people=everybody,
    )  # fmt: skip
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document(app)), indent=1).decode())
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
