"""The API's limits, and what the pages are told of their place."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the API can be told.  Beyond a limit the answer is 413, 422 or 429."""

    body_bytes_max: Count = 65_536
    call_ahead_s: Count = 300  # a caller's clock may be ahead of ours by this
    call_age_s: Count = 7 * 86_400  # a call about an older moment is a complaint, not a call
    plan_s_max: Count = 366 * 86_400
    etr_s_max: Count = 31 * 86_400  # nobody knows further ahead
    done_age_s: Count = 2 * 86_400  # a crew's word about an older moment is an error of typing
    decision_wait_s: Count = 10  # until an engine in another process has answered; then 503
    audit_per_minute_max: Count = 600  # refusals beyond it are in the log only


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The place that the pages speak of, and how long a browser stays signed in."""

    name: str = ""  # of the dispatch centre, in the board's header
    time_zone: str = "Asia/Shanghai"  # IANA; every time on every page is told in it
    phone: str = "95598"  # whom a customer may call
    session_s: Count = 43_200  # a shift; then a new link signs in again, without losing the view
    feed_token_s: Count = 600
    code_s: Count = 600  # a printed link that nobody opened
    codes_max: Count = 1_000  # beyond it the oldest unopened link is worth nothing
    arrival_min: Count = 45  # promised from report to crew on site; 90 in the country, 120 far off
