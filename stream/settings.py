"""Limits of the stream."""

import msgspec


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How entries are gathered into frames.  What happens at each limit is said beside it."""

    linger_ms: int = 10  # entries that come this close together share a transaction
    frame_rows_max: int = 20_000  # a transaction takes no more; the rest waits for the next
    waiting_rows_max: int = 200_000  # gateways wait, and so stop reading, while more are waiting
    idle_frame_s: float = 10.0  # with nothing to tell, time itself is recorded this often
    snapshot_s: float = 60.0  # between snapshots of an engine that took readings
    catch_up_s_max: float = 60.0  # a source that does not say it has caught up is not waited for
