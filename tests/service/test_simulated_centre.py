"""The specification of where the simulated SMS centre listens."""

import socket

import pytest

from grid.errors import ConfigError
from notify.settings import SmsSettings
from service import texting
from service.settings import Settings

OUTGOING = range(32_768, 61_000)  # Linux' own: net.ipv4.ip_local_port_range


def test_no_connection_can_take_its_port_before_it_listens() -> None:
    settings, port = texting.simulated(Settings(), demo=False)
    assert settings.sms.url == f"smpp://127.0.0.1:{port}"
    assert port not in OUTGOING


def test_what_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(texting, "CENTRE_PORTS", range(port, port + 50))
        assert texting.simulated(Settings(), demo=False)[1] in range(port + 1, port + 50)
        monkeypatch.setattr(texting, "CENTRE_PORTS", range(port, port + 1))
        with pytest.raises(ConfigError, match=r"\$\.sms\.url"):
            texting.simulated(Settings(), demo=False)


def test_a_gateway_of_ones_own_is_kept() -> None:
    sms = SmsSettings(url="smpp://127.0.0.1:2775")
    settings, port = texting.simulated(Settings(sms=sms), demo=True)
    assert (settings.sms.url, port) == (sms.url, 0)
