"""How people are told, for whoever asks the API: wishes, tasks of the desk, staff, and previews."""

import zoneinfo
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from dispatch.peopledesk import Preview, Wished
from grid.errors import Refused
from grid.notice import DESK, SMS, Facts, Phase, Recipient
from grid.times import from_rfc3339
from grid.told import PublicConsent, PublicStaff, PublicTask, PublicWishes
from notify import smpp
from notify.phases import Rules, promise
from notify.situations import still_dark
from notify.wording import LANGUAGES, Reader, Wording
from store.postgres import Store
from store.wishing import Consent, NewStaff, NewWishes

NOBODY = 3_600_000  # of a preview without an outage: out since an hour
DAY_MS = 86_400_000


class ServicePeopleDesk:
    """The ``dispatch.peopledesk.PeopleDesk`` of one running service."""

    def __init__(
        self,
        store: Store,
        rules: Rules,
        wording: Wording,
        country: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._rules = rules
        self._wording = wording
        self._country = country
        self._now_ms = now_ms

    async def wishes(self, customer_id: str) -> PublicWishes | None:
        """How a customer wants to be told."""
        return await self._store.wishing.wishes(customer_id)

    async def consents(self, customer_id: str) -> Sequence[PublicConsent]:
        """What proves their opt-outs and opt-ins."""
        return await self._store.wishing.consents(customer_id)

    async def wish(self, wished: Wished) -> None:
        """Keep how a customer wants to be told."""
        self._check(wished)
        now, wishing = self._now_ms(), self._store.wishing
        contacts = None if wished.contacts is None else dict(wished.contacts)
        await wishing.wish(
            NewWishes(
                customer_id=wished.customer_id, language=wished.language,
                channels=wished.channels, phases=wished.phases, quiet=wished.quiet,
                zone=wished.time_zone, contacts=contacts, by=wished.by, at_ms=now,
            )
        )  # fmt: skip
        found = await wishing.wishes(wished.customer_id)
        out = found is not None and found.opted_out_at is not None
        if wished.opted_out is not None and wished.opted_out != out:
            said = Consent(customer_id=wished.customer_id, at_ms=now, wanted=not wished.opted_out,
                           source="api", by=wished.by)  # fmt: skip
            await wishing.consent([said])

    def _check(self, wished: Wished) -> None:
        known = {SMS, *self._rules.opened} - {DESK}
        named = {*(wished.channels or ()), *(wished.contacts or ())}
        if unknown := named - known:
            raise Refused(
                f"no channel is called {min(unknown)!r} here; known: {', '.join(sorted(known))}"
            )
        if unknown := set(wished.phases or ()) - {phase.value for phase in Phase}:
            raise Refused(f"no phase is called {min(unknown)!r}")
        zone = wished.time_zone
        if zone is not None and zone not in zoneinfo.available_timezones():
            raise Refused(f"{zone!r} is no time zone; use a name like Asia/Shanghai")

    async def tasks(self, *, open_only: bool) -> Sequence[PublicTask]:
        """Whom the desk is to call."""
        return await self._store.tasks.tasks(self._now_ms(), open_only=open_only)

    async def task(self, number: int) -> PublicTask | None:
        """One of them."""
        found = await self._store.tasks.tasks(self._now_ms(), open_only=False, number=number)
        return found[0] if found else None

    async def number_of(self, customer_id: str) -> str:
        """A customer's number."""
        return await self._store.tasks.number_of(customer_id)

    async def close_task(self, number: int, outcome: str, note: str, by: str) -> bool:
        """Close a task."""
        return await self._store.tasks.close(number, outcome, note, by, self._now_ms())

    async def staff(self) -> Sequence[PublicStaff]:
        """Who is told of which district."""
        return await self._store.wishing.staff()

    async def keep_staff(self, staff_id: str, duty: str, district: str, language: str, *,
                         name: str, phone: str) -> None:  # fmt: skip
        """Somebody of staff, new or changed."""
        if smpp.international(phone, self._country) is None:
            raise Refused("the telephone number is none")
        new = NewStaff(staff_id=staff_id, duty=duty, district=district, language=language,
                       name=name, phone=phone)  # fmt: skip
        await self._store.wishing.keep_staff(new)

    async def remove_staff(self, staff_id: str) -> bool:
        """Somebody is told no more."""
        return await self._store.wishing.remove_staff(staff_id)

    async def preview(
        self, phase: str, outage_id: str | None, customer_id: str | None
    ) -> Sequence[Preview] | None:
        """A phase's text in each language."""
        known = {one.value: one for one in Phase if one is not Phase.TO_VERIFY}
        if phase not in known:
            raise Refused(f"no text is for {phase!r}; there are {', '.join(known)}")
        facts = await self._facts(outage_id)
        if facts is None:
            return None
        place, firm = "", False
        if customer_id is not None:
            place = await self._store.wishing.address(customer_id)
            wishes = await self.wishes(customer_id)
            if wishes is None:
                raise Refused(f"no customer has the id {customer_id!r}")
            firm = wishes.priority == "key"
        readers = [Reader(language, place, firm=firm) for language in LANGUAGES]
        return [self._written(known[phase], facts, reader) for reader in readers]

    def _written(self, phase: Phase, facts: Facts, reader: Reader) -> Preview:
        sms = self._wording.write(phase, facts, reader, self._now_ms())
        encoding = "GSM 03.38" if sms.gsm else "UCS-2"
        return Preview(reader.language, sms.body, len(sms.body), len(sms.parts), encoding, sms.bare)

    async def _facts(self, outage_id: str | None) -> Facts | None:
        """What is known of an outage now; without one, of one that began an hour ago."""
        now, settings = self._now_ms(), self._rules.settings
        facts = Facts(now, off_ms=now - NOBODY, from_ms=now + DAY_MS, to_ms=now + DAY_MS + NOBODY)
        if outage_id is not None:
            outage = await self._store.outage(outage_id)
            if outage is None:
                return None
            facts = still_dark(outage, from_rfc3339(outage.started_at), now, settings).facts
        facts = replace(
            facts, on_ms=now, arrive_ms=now + round(settings.arrive_s * 1000), site_ms=None
        )
        anybody = Recipient("", "", reachable=True)
        by_ms = now + round(self._rules.settings.next_s * 1000)
        return replace(promise(facts, by_ms, self._rules, anybody), site_ms=now)
