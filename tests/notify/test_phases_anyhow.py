"""The specification of the phases, whatever happens in whatever order: what is never told."""

from datetime import time
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from grid.notice import DARK, Decision, Facts, Phase, Recipient, Situation, Window, after
from notify.phases import Rules, decide
from notify.settings import NoticeSettings

ALL_PHASES = tuple(phase.value for phase in Phase)
MINUTE_MS = 60_000


class Customer(RuleBasedStateMachine):
    """One customer, the outages that come and go over them, and a gateway that is slow."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = Rules(
            NoticeSettings(texts_max=3), ZoneInfo("Asia/Shanghai"), time(22), time(7)
        )
        self.who = Recipient("zh", "normal", reachable=True)
        self.now_ms = 1_764_000_000_000
        self.off_ms: int | None = None
        self.outage = 0
        self.power = "on"
        self.told: list[tuple[str, Phase, int]] = []
        self.decided: list[tuple[Situation, Recipient, Decision]] = []

    @rule(texted=st.booleans())
    def settle(self, texted: bool) -> None:
        """An installation that texts everything, or what is texted by default."""
        if not self.decided:
            phases = ALL_PHASES if texted else NoticeSettings().phases
            wanted = NoticeSettings(texts_max=3, phases=phases)
            self.rules = msgspec.structs.replace(self.rules, settings=wanted)

    @rule(minutes=st.integers(0, 300))
    def time_passes(self, minutes: int) -> None:
        self.now_ms += minutes * MINUTE_MS

    @rule(
        state=st.sampled_from(["predicted", "confirmed", "partially_restored", "verify"]),
        etr=st.none() | st.integers(10, 600),
        assigned=st.booleans(), on_site=st.booleans(), another=st.booleans(),
    )  # fmt: skip
    def dark(
        self, state: str, etr: int | None, assigned: bool, on_site: bool, another: bool
    ) -> None:
        if self.power != "off":
            self.off_ms, self.power = self.now_ms, "off"
            another = True
        self.outage += another
        until = self.now_ms + (etr or 0) * MINUTE_MS
        window = Window(until - MINUTE_MS, until) if etr else None
        self._happens(state, window, assigned=assigned, on_site=on_site)

    @precondition(lambda self: self.outage)
    @rule(inferred=st.booleans(), momentary=st.booleans())
    def back(self, inferred: bool, momentary: bool) -> None:
        self.power = "unknown" if inferred else "on"
        self._happens("momentary" if momentary else "restored", None)

    @precondition(lambda self: self.outage)
    @rule()
    def never_theirs(self) -> None:
        self.power = "on"
        self._happens("rejected", None, theirs=False)

    @rule()
    def gateway_takes_what_is_due(self) -> None:
        self._send_due()

    def _send_due(self) -> None:
        due = {d.due_ms: d for _, _, d in self.decided if d.send}
        past = []
        for notice in self.who.past:
            gone = notice.queued and any(
                d.due_ms <= self.now_ms for d in due.values() if d.phase is notice.phase
            )
            if gone:
                self.told.append((notice.outage_id, notice.phase, notice.edition))
            past.append(msgspec.structs.replace(notice, queued=notice.queued and not gone))
        self.who = msgspec.structs.replace(self.who, past=tuple(past))

    def _happens(
        self, state: str, etr: Window | None, *, theirs: bool = True, assigned: bool = False,
        on_site: bool = False,
    ) -> None:  # fmt: skip
        on = self.now_ms if self.power == "on" else None
        facts = Facts(self.now_ms, off_ms=self.off_ms, on_ms=on, etr=etr)
        now = Situation(
            self.now_ms, f"S1-{self.outage}", 1, theirs, "fault", state, self.power, facts,
            assigned, on_site,
        )  # fmt: skip
        for decided in decide(now, self.who, self.rules):
            self.decided.append((now, self.who, decided))
            self.who = after(self.who, now.outage_id, decided)
        assert decide(now, self.who, self.rules) == (), "the same again is no news"

    @invariant()
    def nothing_is_told_twice(self) -> None:
        assert len(self.told) == len(set(self.told))

    @invariant()
    def at_most_one_text_waits(self) -> None:
        assert sum(p.queued for p in self.who.past) <= 1

    @invariant()
    def what_waits_is_still_true(self) -> None:
        for notice in (p for p in self.who.past if p.queued):
            if notice.phase in DARK:
                assert self.power == "off"
            if notice.phase is Phase.RESTORED:
                assert self.power == "on"

    @invariant()
    def an_end_is_told_on_the_meters_word_and_to_those_who_know_of_a_beginning(self) -> None:
        for now, who, decided in self.decided:
            if decided.send and decided.phase is Phase.RESTORED:
                assert now.power == "on"
            if decided.send and decided.phase in (Phase.RESTORED, Phase.CANCELLED):
                assert who.believes_dark

    @invariant()
    def an_outage_has_so_many_texts_and_no_more(self) -> None:
        for outage in {outage for outage, _, _ in self.told}:
            dark = [1 for o, phase, _ in self.told if o == outage and phase in DARK]
            assert len(dark) <= self.rules.settings.texts_max

    @invariant()
    def who_is_told_of_the_dark_is_told_of_the_light(self) -> None:
        if self.power == "on" and self.who.believes_dark:
            waiting = [p.phase for p in self.who.past if p.queued]
            assert waiting in ([Phase.RESTORED], [Phase.CANCELLED])

    @invariant()
    def every_decision_has_its_moment(self) -> None:
        for now, _, decided in self.decided:
            if decided.send:
                assert now.at_ms <= decided.due_ms < decided.expires_ms


TestCustomer = Customer.TestCase
TestCustomer.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
