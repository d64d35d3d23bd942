"""The specification of readiness: each part with its reason, since when, and in the log."""

from structlog.testing import capture_logs

from service.health import Health


def test_a_part_that_stops_being_ready_is_logged_with_its_reason_and_once() -> None:
    now_ms, reasons = [1_000], [None, None, "Kafka is away", "Kafka is away", None]
    health = Health(lambda: now_ms[0])
    health.watch("kafka", lambda: reasons[now_ms[0] // 1_000 - 1])
    with capture_logs() as logs:
        since = []
        for now_ms[0] in range(1_000, 6_000, 1_000):
            since.append(health.ready()["kafka"].since[17:19])
    assert since == ["01", "01", "03", "03", "05"]
    assert logs == [
        {"event": "part_not_ready", "log_level": "warning", "part": "kafka",
         "reason": "Kafka is away"},
        {"event": "part_ready", "log_level": "info", "part": "kafka"},
    ]  # fmt: skip
