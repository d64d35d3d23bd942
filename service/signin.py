"""Signing in to the pages of one running service: codes, cookies, and the link it prints."""

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from dispatch.codes import Codes
from dispatch.signin import SignIn
from grid.people import Principal, Role
from grid.times import from_rfc3339
from service import place, tokens
from service.run import Run
from service.withdrawals import Withdrawals
from simulators.truth import TRUTH_FILE

WHO = "duty"  # whom the printed link signs in: whoever sits at this machine


def of(run: Run, now_ms: Callable[[], int]) -> SignIn:
    """The service's way of signing in."""
    site, key = run.settings.site, run.keys.token
    withdrawn = Withdrawals(place.key_folder_of(run.data), now_ms)
    codes = Codes(partial(secrets.token_urlsafe, 12), ttl_s=site.code_s, codes_max=site.codes_max)

    def issued(who: Principal, audience: str) -> str:
        left_s = max(1, (who.expires_ms - now_ms()) // 1000)
        return tokens.issue(key, who, left_s, now_ms(), audience=audience)

    return SignIn(
        codes=codes,
        seal=partial(issued, audience=tokens.SESSION),
        unseal=partial(withdrawn.accept, key, audience=tokens.SESSION),
        token=partial(issued, audience=tokens.AUDIENCE),
        feeds_url=run.feeds_url,
        site=site,
        now_ms=now_ms,
    )


class Link:
    """A link that the terminal shows: always one that can still be opened."""

    def __init__(self, run: Run, signin: SignIn, role: Role, subject: str) -> None:
        self._http_url = run.http_url
        self._signin = signin
        self._who = Principal(role, subject, None, 0)
        self._code = ""

    def __call__(self) -> str:
        """The link; another one as soon as it was opened or its time is over."""
        now = self._signin.now_ms()
        if not self._signin.codes.good(self._code, now):
            ends_ms = now + self._signin.site.session_s * 1000
            who = msgspec.structs.replace(self._who, expires_ms=ends_ms)
            self._code = self._signin.codes.give(who, now).text
        return f"{self._http_url}/#code={self._code}"


def links(run: Run, signin: SignIn) -> tuple[Link, Link | None]:
    """The board's link, and in a told story that of somebody whom it happens to."""
    board = Link(run, signin, Role.DISPATCHER, WHO)
    who = somebody(run.data / "field" / TRUTH_FILE) if run.scenario is not None else None
    return board, Link(run, signin, Role.CUSTOMER, who) if who else None


def somebody(truth: Path) -> str | None:
    """A customer of the story, as its truth log has it: a household that wishes to be told every
    phase, else whom it leaves in the dark the longest.
    """
    longest: tuple[int, str] | None = None
    for line in truth.read_bytes().splitlines() if truth.exists() else ():
        told = msgspec.json.decode(line)
        if told["type"] == "household":
            return str(told["customer_id"])
        for step in told.get("steps", ()) if told["type"] == "outage" else ():
            if step["customers"] and step["on_at"] is not None:
                lasts = from_rfc3339(step["on_at"]) - from_rfc3339(step["off_at"])
                longest = max(longest or (0, ""), (lasts, step["customers"][0]))
    return longest[1] if longest else None
