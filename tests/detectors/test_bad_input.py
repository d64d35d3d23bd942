"""The specification of what should not happen: each has a defined behaviour, and a reason."""

from grid.drawing import draw

EMPTY = draw("""
source S1
  breaker B1 telemetered
    transformer T1
""")
LONELY = draw("""
source S1
  breaker B1 telemetered
    transformer T1
      meter M1
  breaker B2
    transformer T2
      meter M2..M6
""")
WARM = "11:45 12:00 M1..M6 heartbeat\n 12:04 B1 heartbeat on=1\n"


def test_a_network_without_meters_has_positions_and_no_outage_of_anybody(day) -> None:
    told = day(EMPTY, "12:00 B1 heartbeat on=1\n 12:05 B1 trip\n 12:10 B1 close\n 12:20 end")
    assert all(outage.customers_affected == 0 for outage in told.latest())
    assert not any(outage.state == "confirmed" for outage in told.latest())


def test_a_feeder_of_one_customer_is_out_when_its_breaker_is(day) -> None:
    told = day(LONELY, f"{WARM} 12:05 B1 trip\n 12:05:10 end")
    assert told.outages == ["breaker B1: confirmed fault", "  12:05:00 -: M1"]


def test_power_behind_an_open_breaker_is_said_to_be_back_feed(day) -> None:
    told = day(LONELY, f"{WARM} 12:05 B1 trip\n 12:06 M1 heartbeat\n 12:06:30 end")
    found = [f for f in told.noticed if f.kind == "back_feed"]
    assert [f.device_id for f in found] == ["B1"]
    assert found[0].reason.startswith("M1 reports power while B1 says that it is open")


def test_back_feed_ends_when_the_breaker_closes(day) -> None:
    text = f"{WARM} 12:05 B1 trip\n 12:06 M1 heartbeat\n 12:07 B1 close\n 12:08 end"
    last = [f for f in day(LONELY, text).noticed if f.kind == "back_feed"][-1]
    assert last.until_ms is not None


def test_a_gasp_from_the_future_is_believed_and_not_its_clock(day) -> None:
    """Ten minutes ahead: with its own heartbeats its clock is known, and who is out when, too."""
    told = day(LONELY, """
        11:40 11:55 M2..M6 heartbeat
        12:10 M2..M6 heartbeat received=12:00
        12:14 M2..M6 last_gasp received=12:04
        12:04:30 end
    """)  # fmt: skip
    [outage] = [o for o in told.latest() if o.device_id in ("B2", "T2")]
    assert outage.customers_out == 5
