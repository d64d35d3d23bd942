"""Notices, phones, wishes and work in memory, for tests of what stands on them."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from dispatch.mapdesk import Spot
from dispatch.noticedesk import PhoneText
from dispatch.peopledesk import Preview, Wished
from dispatch.workdesk import Answered, NewDecision
from grid.errors import Refused
from grid.public import (
    PublicDecision,
    PublicEtr,
    PublicNotice,
    PublicNoticeDecision,
    PublicOutage,
    PublicProgress,
)
from grid.times import to_rfc3339
from grid.told import PublicConsent, PublicStaff, PublicTask, PublicWishes
from grid.work import Action, Stage


class MemoryNotices:
    """Customer C-1 was told of outage S1-2, and that is all."""

    def __init__(self, at_ms: int) -> None:
        at = to_rfc3339(at_ms)
        self._decision = PublicNoticeDecision(at, "S1-2", 1, "confirmed", True, "due", 2)
        self._notice = PublicNotice(
            id="7", outage_id="S1-2", customer_id="C-1", phase="confirmed", edition=1,
            channel="sms", state="delivered", reason="due", decided="due", lane=1, at=at,
            due_at=at, sent_at=at, ended_at=None, text="停电", phone="100****0001",
        )  # fmt: skip

    async def of_outage(self, outage_id: str) -> Sequence[PublicNotice]:
        """What customers were told of an outage."""
        return [self._notice] if outage_id == "S1-2" else []

    async def of_customer(self, customer_id: str) -> Sequence[PublicNotice]:
        """What a customer was told."""
        return [self._notice] if customer_id == "C-1" else []

    async def decisions(
        self, *, outage_id: str | None = None, customer_id: str | None = None, since_ms: int = 0
    ) -> Sequence[PublicNoticeDecision]:
        """What was decided."""
        known = outage_id == "S1-2" or customer_id == "C-1"
        return [self._decision] if known else []


class MemoryPhones:
    """A phone with one text on it."""

    def __init__(self, at_ms: int) -> None:
        self._text = PhoneText(1, to_rfc3339(at_ms), 1, "100****0001", "95598", "停电", False)
        self.replied: list[tuple[int, str]] = []

    def texts(self, after: int) -> Sequence[PhoneText]:
        """Texts after a number."""
        return [self._text] if after < self._text.no else []

    def reply(self, no: int, text: str) -> bool:
        """Answer a text."""
        self.replied.append((no, text))
        return no == self._text.no


class ArrivingPhones:
    """Phones on which texts arrive as somebody says; ``at`` gives the moment minutes ago."""

    def __init__(self, at: Callable[[float], str]) -> None:
        self._at = at
        self.arrived: list[PhoneText] = []
        self.replies: list[tuple[int, str]] = []

    def texts(self, after: int) -> Sequence[PhoneText]:
        """Texts after a number."""
        return [text for text in self.arrived if text.no > after]

    def reply(self, no: int, text: str) -> bool:
        """Answer a text."""
        self.replies.append((no, text))
        return any(one.no == no for one in self.arrived)

    def text(
        self, box: int, words: str, *, mine: bool = False, minutes: float = 0, household: str = ""
    ) -> None:
        """A text arrives, or is typed there; ``household``: the language of one told everything."""
        no, phone = len(self.arrived) + 1, f"100****{8000 + box}"
        self.arrived.append(
            PhoneText(no, self._at(minutes), box, phone, "95598", words, mine, household)
        )


def a_spot(device_id: str) -> Spot:
    """Every device stands at one place; of T0009 nobody knows it."""
    known = device_id != "T0009"
    return Spot(device_id, 30.25 if known else None, 120.125 if known else None)


def settled(found: PublicOutage, new: NewDecision, at: str) -> Answered:
    """A decision that is taken: the outage with its next stage, cause or estimate."""
    version = found.version + 1
    if new.action == Action.ETR:
        outage = replace(
            found, version=version, etr=PublicEtr(to_rfc3339(new.etr_ms or 0), "crew", 0.8)
        )
    else:
        stage = Stage.CAUSE_FOUND if new.action == Action.CAUSE else Stage(new.action)
        done = (*found.progress, PublicProgress(stage.value, at, new.by))
        cause = new.cause or found.cause
        outage = replace(found, version=version, stage=stage.value, progress=done, cause=cause)
    made = PublicDecision(
        "d-1", found.id, at, new.by, new.role, new.action, new.reason, True, "", version, None
    )
    return Answered(made, outage)


class MemoryPeople:
    """Customer C-1 has the usual wishes and is to be called: task 7.  There are sms and email.

    ``to_call`` are the tasks; a closed one stays, with what was said of it.
    """

    def __init__(self, at_ms: int) -> None:
        self._at = to_rfc3339(at_ms)
        self._wishes = PublicWishes(
            customer_id="C-1", priority="vulnerable", language="zh", channels=None, phases=None,
            quiet=None, time_zone=None, opted_out_at=None, phone="100****0001", contacts={},
            changed_at=None, changed_by=None,
        )  # fmt: skip
        task = PublicTask(
            id="7", outage_id="S1-2", customer_id="C-1", phase="confirmed", state="open",
            reason="fell_back", lane=0, priority="vulnerable", language="zh", at=self._at,
            due_at=self._at, expires_at=self._at, off_at=self._at, etr_at=None, ended_at=None,
            ended_by=None, note=None, phone="100****0001", address="12 Willow Lane",
        )  # fmt: skip
        self.to_call = [task]
        self._staff: dict[str, PublicStaff] = {}
        self._consents: list[PublicConsent] = []

    async def wishes(self, customer_id: str) -> PublicWishes | None:
        """How a customer wants to be told."""
        return self._wishes if customer_id == "C-1" else None

    async def consents(self, customer_id: str) -> Sequence[PublicConsent]:
        """What proves their opt-outs."""
        return self._consents if customer_id == "C-1" else []

    async def wish(self, wished: Wished) -> None:
        """Keep how a customer wants to be told."""
        if set(wished.channels or ()) - {"sms", "email"}:
            raise Refused("no channel is called so")
        if wished.opted_out is not None:
            said = PublicConsent(self._at, not wished.opted_out, "api", wished.by, "")
            self._consents.append(said)
        self._wishes = replace(
            self._wishes, language=wished.language or "zh", channels=wished.channels,
            phases=wished.phases, quiet=wished.quiet, time_zone=wished.time_zone,
            opted_out_at=self._at if wished.opted_out else None, changed_by=wished.by,
        )  # fmt: skip

    async def tasks(self, *, open_only: bool) -> Sequence[PublicTask]:
        """Whom the desk is to call."""
        return [task for task in self.to_call if task.state == "open" or not open_only]

    async def task(self, number: int) -> PublicTask | None:
        """One of them."""
        return next((task for task in self.to_call if task.id == str(number)), None)

    async def number_of(self, customer_id: str) -> str:
        """A number that nobody has."""
        return "10000000001" if customer_id.startswith("C-") else ""

    async def close_task(self, number: int, outcome: str, note: str, by: str) -> bool:
        """Close a task."""
        task = await self.task(number)
        if task is None or task.state != "open":
            return False
        state = "delivered" if outcome == "told" else "undelivered"
        done = replace(task, state=state, reason=outcome, note=note, ended_by=by)
        self.to_call[self.to_call.index(task)] = done
        return True

    async def staff(self) -> Sequence[PublicStaff]:
        """Who is told of which district."""
        return list(self._staff.values())

    async def keep_staff(self, staff_id: str, duty: str, district: str, language: str, *,
                         name: str, phone: str) -> None:  # fmt: skip
        """Somebody of staff."""
        self._staff[staff_id] = PublicStaff(staff_id, duty, district, language, name, phone[:3])

    async def remove_staff(self, staff_id: str) -> bool:
        """Somebody is told no more."""
        return self._staff.pop(staff_id, None) is not None

    async def preview(
        self, phase: str, outage_id: str | None, customer_id: str | None
    ) -> Sequence[Preview] | None:
        """The same short text for each phase."""
        if outage_id not in (None, "S1-2"):
            return None
        return [Preview("zh", f"{phase}: 停电", 8, 1, "UCS-2", False)]
