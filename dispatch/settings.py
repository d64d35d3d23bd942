"""The API's limits."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the API can be told.  Beyond a limit the answer is 413, 422 or 429."""

    body_bytes_max: Count = 65_536
    call_ahead_s: Count = 300  # a caller's clock may be ahead of ours by this
    call_age_s: Count = 7 * 86_400  # a call about an older moment is a complaint, not a call
    plan_s_max: Count = 366 * 86_400
    audit_per_minute_max: Count = 600  # refusals beyond it are in the log only
