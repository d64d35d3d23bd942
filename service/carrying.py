"""Who carries what customers are told, out of the settings: a gateway of texts, and Apprise."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from grid.errors import ConfigError
from grid.notice import DESK, SMS
from notify import apprised
from notify.aliyun import Aliyun
from notify.apprised import Apprised
from notify.carrier import Carrier, Heard
from notify.gateway import Credentials, Gateway, address_of
from notify.settings import SmsSettings
from notify.twilio import Twilio
from notify.web import Dialect, WebGateway
from service.settings import Settings

DIALECTS = ("twilio", "aliyun")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
KEY_CHARS_MIN = 16

Make = Callable[[Heard], Carrier]


def opened(settings: Settings) -> frozenset[str]:
    """The channels that are set up; the desk always is.

    Raises:
        ConfigError: A channel or the gateway's address is none.
    """
    found = {DESK, *apprised.channels_of(settings.secrets.channels)}
    if settings.sms.url:
        _check(settings)
        found.add(SMS)
    return frozenset(found)


def carriers(settings: Settings, now_ms: Callable[[], int]) -> list[tuple[str, SmsSettings, Make]]:
    """Each channel with its limits and what makes its carrier; texts first."""
    found: list[tuple[str, SmsSettings, Make]] = []
    if settings.sms.url:
        found.append((SMS, settings.sms, partial(_texts, settings, now_ms)))
    limits = settings.channels
    calm = replace(
        settings.sms, per_s=limits.per_s, burst=limits.burst, window_max=limits.window_max,
        answer_s=limits.answer_s, receipt_owed_s=0.0, resend_safety_s=0.0, absent_s=0.0,
    )  # fmt: skip
    title = settings.notices.signature_zh
    for name, url in apprised.channels_of(settings.secrets.channels).items():
        make = partial(_apprised, name, url, title, limits.answer_s)
        found.append((name, calm, make))
    return found


def dialect_of(settings: Settings) -> tuple[str, Dialect] | None:
    """The name and the dialect of a gateway over HTTP; None where there is none.

    Raises:
        ConfigError: The address is none, or what the dialect needs is missing.
    """
    name, _, base = settings.sms.url.partition("+")
    if name not in DIALECTS:
        return None
    split = urlsplit(base)
    local = split.hostname in LOOPBACK
    if (split.scheme != "https" and not (split.scheme == "http" and local)) or not split.netloc:
        raise ConfigError(
            f"{settings.sms.url!r} is no gateway - at $.sms.url; write {name}+https://HOST"
        )
    account, secret = settings.secrets.sms_system_id, settings.secrets.sms_password
    if name == "twilio":
        return name, Twilio(base, account, secret, source=settings.sms.source,
                            callback_url=settings.sms.callback_url)  # fmt: skip
    key = settings.secrets.sms_callback_key
    if key and len(key) < KEY_CHARS_MIN:
        raise ConfigError(f"LASTGASP_SMS_CALLBACK_KEY has fewer than {KEY_CHARS_MIN} characters")
    if not settings.sms.sign or not settings.sms.template_codes:
        raise ConfigError(
            "Aliyun sends approved templates only - at $.sms.template_codes and $.sms.sign; "
            'write "zh.confirmed" = "SMS_..." and the others of docs/notices.md'
        )
    return name, Aliyun(base, account, secret, sign=settings.sms.sign,
                        codes=settings.sms.template_codes, callback_key=key)  # fmt: skip


def _check(settings: Settings) -> None:
    if dialect_of(settings) is None:
        address_of(settings.sms)


def _texts(settings: Settings, now_ms: Callable[[], int], heard: Heard) -> Carrier:
    named = dialect_of(settings)
    if named is not None:
        return WebGateway(settings.sms, named[1], now_ms)
    secrets = settings.secrets
    credentials = Credentials(secrets.sms_system_id, secrets.sms_password)
    return Gateway(settings.sms, credentials, heard, now_ms)


def _apprised(name: str, url: str, title: str, answer_s: float, _heard: Heard) -> Carrier:
    return Apprised(name, url, title, answer_s)
