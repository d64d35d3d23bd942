"""The feeds' limits.  Times in seconds, sizes in bytes, as the names say."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class FeedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the feeds can be told.  What happens at each limit is in docs/feeds.md."""

    listen: str = "127.0.0.1:8471"
    tls_cert: str = ""  # PEM file; at scale let a proxy do TLS, it costs 256 KiB a connection
    tls_key: str = ""
    url: str = ""  # where browsers reach it, like wss://outage.example.org:8471; empty: on listen
    origins: tuple[str, ...] = ("http://127.0.0.1:8470", "http://localhost:8470")  # of web pages
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed

    connections_max: Count = 20_000
    connections_per_address_max: Count = 10_000  # lower it where no proxy stands in between
    connections_per_subject_max: Count = 64  # of one bearer: their screens, phones and programs
    handshakes_per_s_max: Count = 200  # of an address, in the long run
    handshakes_burst_max: Count = 400
    handshakes_all_per_s_max: Count = 1_000  # of all addresses together
    opens_per_minute_max: Count = 120  # connections of one bearer
    addresses_max: Count = 100_000  # remembered for these; then who was quiet for longest goes
    channels_max: Count = 16  # a connection
    message_bytes_max: Count = 16_384  # from a client
    messages_per_minute_max: Count = 600  # from a client
    messages_burst_max: Count = 120

    open_s: Seconds = 10.0  # for the handshake; when thousands come back at once it takes seconds
    auth_s: Seconds = 10.0  # from the handshake to the token
    heartbeat_s: Seconds = 25.0
    tick_s: Seconds = 1.0  # deadlines are looked at, and heartbeats spread, by this
    pong_s: Seconds = 20.0  # at least, for the answer to the websocket ping of a heartbeat
    close_s: Seconds = 5.0  # for the other side to close as well

    stall_s: Seconds = 30.0  # a client that reads nothing for so long is cut off
    direct_bytes_max: Count = 65_536  # written ahead of a client before its queue is begun
    queue_messages_max: Count = 256
    queue_bytes_max: Count = 262_144
    replay_max: Count = 1_000  # further back than this a client gets a snapshot
    page_max: Count = 256  # rows of one read
    reads_parallel_max: Count = 4  # of the database's connections, for joining clients
    read_channels_max: Count = 1_000  # in one round trip; the next is read meanwhile
    poll_s: Seconds = 5.0  # the log is looked at even when nobody wakes us
    streams_max: Count = 500  # readers of server-sent events, of the HTTP API
    audit_max: Count = 1_000  # lines waiting for the database
    audit_per_minute_max: Count = 600  # lines beyond it are in the log only

    retry_window_s: Seconds = 30.0  # clients sent away are spread over at most this
    retries_per_s: Count = 500


class NoticeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When customers are told what (docs/notices.md).  Times of day are those of
    ``$.site.time_zone``, and the number to call is ``$.site.phone``.
    """

    phases: tuple[str, ...] = ("confirmed", "etr_changed", "restored", "cancelled", "update",
                               "planned", "day_before", "plan_cancelled")  # fmt: skip
    hold_s: float = 120.0  # an outage that is younger is not texted: it may be momentary
    staff_hold_s: float = 60.0  # from its detection: what shows in parts at first is told once
    etr_step_s: float = 1800.0  # an estimate that moves by less is not told again ...
    etr_step_share: float = 0.25  # ... nor by less than this share of the time that is left
    channels: tuple[str, ...] = ("sms",)  # in their order, for who has not wished otherwise
    fallback_s: Seconds = 600.0  # without a receipt by then the next channel is tried ...
    fallback_safety_s: Seconds = 180.0  # ... and of key and vulnerable customers by then
    desk_phases: tuple[str, ...] = ("confirmed", "planned")  # what the desk calls them for, last
    texts_max: Count = 4  # of one outage to one customer; the end and corrections come on top
    quiet_from: str = "22:00"  # in between only key and vulnerable customers are texted
    quiet_to: str = "07:00"  # the same as quiet_from: no quiet hours
    next_s: Seconds = 3600.0  # the next word is promised by then, rounded up to half an hour
    result_s: Seconds = 1800.0  # the same of what is only suspected
    late_s: Seconds = 7200.0  # a text that waited longer is not sent: it has become untrue
    restored_late_s: Seconds = 43_200.0
    window_s: float = 1800.0  # how wide an estimate is that has only an end
    arrive_s: Seconds = 2700.0  # a crew that was sent is there by then
    ahead_s: Seconds = 604_800.0  # planned work is told so long before it begins ...
    again_s: Seconds = 86_400.0  # ... and once more
    signature_zh: str = "【幸福供电】"
    signature_en: str = "[Lastgasp Power] "
    templates: str = ""  # a folder with zh.toml and en.toml; blank: our own


class SmsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gateway of texts; without ``url`` no text is queued.  Its secrets come from the
    environment.
    """

    url: str = ""  # smpp://HOST:PORT, twilio+https://HOST, aliyun+https://HOST
    callback_url: str = ""  # where an HTTP gateway sends receipts and replies: our /hooks/sms/...
    sign: str = ""  # Aliyun's SignName
    template_codes: dict[str, str] = {}  # Aliyun's TemplateCode of each text: zh.confirmed, ...
    source: str = "95598"  # whom texts are from, and replies go to
    source_ton: int = 0
    source_npi: int = 1
    dest_ton: int = 1  # international
    dest_npi: int = 1
    country: str = "86"  # put before a number that has none
    per_s: Seconds = 50.0  # texts a second that the gateway takes
    burst: Count = 50
    window_max: Count = 20  # submitted and not answered
    answer_s: Seconds = 10.0  # without an answer by then a text is of unknown fate
    late_max: Count = 1_000  # answers that may still come; of older ones receipts tell
    enquire_s: Seconds = 20.0
    connect_s: Seconds = 5.0
    reconnect_s: Seconds = 0.5  # doubled with each failure, up to
    reconnect_max_s: Seconds = 10.0
    throttled_s: Seconds = 1.0  # a pause when the gateway says so, doubled up to reconnect_max_s
    batch_max: Count = 200  # texts claimed at once
    lease_s: Seconds = 60.0  # a text claimed so long ago belongs to a process that has died
    attempts_max: Count = 5  # of a text that the gateway refuses for the moment
    retry_s: Seconds = 5.0  # before the second attempt; doubled up to retry_max_s, and spread
    retry_max_s: Seconds = 300.0
    poll_s: Seconds = 1.0  # the outbox is looked at even when nobody wakes us
    absent_s: float = 300.0  # what the gateway says that it never had goes again; 0: never
    ask_after_s: Seconds = 30.0  # without a receipt the gateway is asked what became of a text
    # A text of unknown fate is not sent again, with two exceptions that 0 leaves out:
    receipt_owed_s: float = 0.0  # the gateway owes a receipt within this for whatever it took
    resend_safety_s: float = 0.0  # key and vulnerable customers rather twice than never
    receipt_ids: str = "same"  # decimal: ids are hexadecimal in answers, decimal in receipts
    receipts_max: Count = 10_000  # receipts waiting for the database


class ChannelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Channels beside texts, through Apprise.  Their addresses are secrets: LASTGASP_CHANNELS."""

    per_s: Seconds = 5.0  # messages a second on each
    burst: Count = 10
    window_max: Count = 8  # handed over at the same time
    answer_s: Seconds = 30.0
