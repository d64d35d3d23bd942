"""The specification of listening addresses: read, checked, and refused with the flag to change."""

import socket
from collections.abc import Iterator

import pytest

from grid.errors import ConfigError
from service import ports
from service.ports import Address


@pytest.fixture
def taken() -> Iterator[Address]:
    """An address that somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield Address("127.0.0.1", other.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8470", Address("127.0.0.1", 8470)),
        ("[::1]:8470", Address("::1", 8470)),
        ("localhost:1", Address("localhost", 1)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: Address) -> None:
    assert ports.parse(text, "--http") == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["8470", ":8470", "127.0.0.1:", "127.0.0.1:x", "h:0", "h:65536"])
def test_anything_else_is_refused_with_its_flag(text: str) -> None:
    with pytest.raises(ConfigError, match="--http"):
        ports.parse(text, "--http")


def test_a_free_port_is_taken_as_it_is(taken: Address) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = Address("127.0.0.1", probe.getsockname()[1])
    assert ports.claim(free, "--http", next_free=False) == free


def test_a_taken_port_is_named_with_the_flag_that_changes_it(taken: Address) -> None:
    with pytest.raises(ConfigError, match=rf"port {taken.port} .* --feeds 127\.0\.0\.1:PORT"):
        ports.claim(taken, "--feeds", next_free=False, patience_s=0.0)


def test_the_demo_takes_the_next_free_port(taken: Address) -> None:
    found = ports.claim(taken, "--http", next_free=True)
    assert found.host == taken.host
    assert found.port > taken.port
    assert ports.is_free(found, "--http")


def test_a_port_that_a_killed_run_still_holds_for_a_moment_is_waited_for() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = Address("127.0.0.1", other.getsockname()[1])
        import threading

        leaving = threading.Timer(0.2, other.close)
        leaving.start()
        assert ports.claim(address, "--mqtt", next_free=False, patience_s=10.0) == address
        leaving.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_machine_alone_may_be_listened_to_without_tls(host: str) -> None:
    ports.refuse_open_door(Address(host, 8470), "--http", tls=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
def test_beyond_this_machine_nothing_listens_without_tls(host: str) -> None:
    with pytest.raises(ConfigError, match=r"without TLS; set tls_cert and tls_key in \[http\]"):
        ports.refuse_open_door(Address(host, 8470), "--http", tls=False)
    ports.refuse_open_door(Address(host, 8470), "--http", tls=True)


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ConfigError, match="--http"):
        ports.is_free(Address("192.0.2.7", 8470), "--http")
