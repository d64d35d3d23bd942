"""Limits of the stream."""

from typing import Annotated

import msgspec

LINGER_MS_MAX = 1_000  # a beat of the senders: what waits longer would come after its own time


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How entries are gathered into frames.  What happens at each limit is said beside it."""

    linger_ms: int = 10  # entries that come this close together share a transaction
    frame_rows_max: int = 20_000  # a transaction takes no more; the rest waits for the next
    waiting_rows_max: int = 200_000  # gateways wait, and so stop reading, while more are waiting
    idle_frame_s: float = 10.0  # with nothing to tell, time itself is recorded this often
    snapshot_s: float = 60.0  # between snapshots of an engine that took readings
    numberings_max: int = 8  # versions of the network whose readings may still be on their way
    catch_up_s_max: float = 300.0  # a source that does not say it has caught up is not waited for


class BusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Apache Kafka between the roles of a cluster.  User and password come from the environment."""

    bootstrap: str = "127.0.0.1:9092"  # host:port,host:port
    prefix: str = "lastgasp."  # of the topics frames, commands and quarantine
    partitions: int = 12  # of each topic; more than there will ever be workers
    replication: int = 1  # 3 where there are three brokers
    instance: str = ""  # this process among those of its role; empty: the host's name
    security: str = "PLAINTEXT"  # or SSL, SASL_PLAINTEXT, SASL_SSL
    sasl_mechanism: str = "SCRAM-SHA-512"  # or PLAIN, SCRAM-SHA-256
    tls_ca: str = ""  # PEM files
    tls_cert: str = ""
    tls_key: str = ""
    linger_ms: Annotated[int, msgspec.Meta(le=LINGER_MS_MAX)] = 20
    """Readings of a group that come this close together share a record; told that much later."""
    record_rows_max: int = 5_000  # of a record; the rest goes into the next
    record_bytes_max: int = 2 << 20
    in_flight_bytes_max: int = 24 << 20  # sent and not answered; above: gateways stop reading
    delivery_s: float = 60.0  # a record that Kafka has not taken by then is offered anew
    request_s: float = 10.0
    commit_wait_s: float = 10.0  # a person at the desk waits this long for a commit
    beat_s: float = 1.0  # each sender says in each partition that it is there
    lost_s: float = 5.0  # a sender is lost when the others are this far ahead of it
    gone_s: float = 900.0  # and given up after this long
    keep_frames_hours: int = 72  # how long workers and database may be away
    keep_commands_hours: int = 1
    batch_records_max: int = 64  # of a partition in one transaction
    batch_bytes_max: int = 4 << 20
    waiting_records_max: int = 128  # of a partition, read ahead; above: no more are read
    tries_max: int = 3  # then a record that cannot be applied goes to quarantine
    stop_s: float = 6.0  # what a worker has under way when it is stopped is given this long
    session_s: float = 10.0  # a worker that is silent for this long loses its partitions
    start_from: str = "earliest"  # a partition that the database knows no offset of; or "latest"
