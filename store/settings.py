"""The store's limits.  Times in seconds or days, as the names say."""

import msgspec


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the store can be told."""

    connections_max: int = 8  # to the database; who wants one more waits for ``connection_wait_s``
    connection_wait_s: float = 5.0
    answer_s: float = 30.0  # a statement or transaction that takes longer counts as unreachable
    retry_s: float = 1.0  # what a caller is told to wait after a failure
    network_versions_max: int = 8  # kept in memory; the oldest goes first
    let_go_s: float = 600.0  # forgetting what is old may take longer than an answer
    network_s: float = 900.0  # so may keeping or reading a network of millions
    listed_max: int = 10_000  # rows of any list; the newest ones
    recorded_chunk: int = 200  # frames read ahead while replaying
    feed_read_max: int = 5_000  # rows of one ``feed_read``, whatever the caller asks
    keep_readings_days: int = 90
    keep_recorded_days: int = 90  # frames and snapshots: how far back a day can be replayed
    keep_events_days: int = 1_100
    keep_load_days: int = 1_100  # load by feeder, district and half hour
    keep_feed_days: int = 7  # a client that was away longer gets a snapshot
    keep_quarantine_days: int = 30
    keep_notices_days: int = 400  # who was told what, and why
    keep_audit_days: int = 400  # schema.sql refuses to drop what is younger than 180
    snapshots_all_hours: int = 2  # older than that one snapshot an hour is kept
    snapshots_hourly_days: int = 2  # older than that one snapshot a day is kept
