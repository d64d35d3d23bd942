"""``lastgasp why CUSTOMER``: what they were to be told, what became of it, and why not."""

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from grid.errors import ConfigError
from grid.public import PublicNotice, PublicNoticeDecision
from grid.times import from_rfc3339
from notify.windows import local
from store.postgres import Store

SAID: Mapping[str, str] = {
    "due": "they are texted of this phase",
    "material_etr": "the estimate is the first, moved enough to matter, or the old one had passed",
    "correction": "what they were told before was wrong",
    "promised": "the next word was promised by then",
    "ahead": "planned work is told before it begins",
    "sms_off": "no gateway is set up ($.sms.url)",
    "no_phone": "on no channel that they may be told on is anything known of them",
    "opted_out": "they want to be told on no channel",
    "not_wanted": "they do not want to be told of this",
    "fell_back": "another channel did not reach them in time",
    "told": "the desk told them",
    "nobody_answered": "the desk called, and nobody answered",
    "not_needed": "the desk need not call",
    "not_taken": "the gateway says that it never had it, so it goes again",
    "erased": "their data was erased",
    "not_texted": "the page and the feed tell it; $.notices.phases does not name it",
    "not_ours": "planned work, arrears or their own fault: told by other means, or ahead",
    "not_sure": "their meter has not said that power is back",
    "never_told": "they were not told of it, so there is no end to tell",
    "already_told": "they know that they have no power",
    "immaterial_etr": "the estimate moved too little to matter",
    "budget": "they had all the texts that one outage may have ($.notices.texts_max)",
    "momentary": "it was a moment only",
    "too_late": "it was too late to be of use",
    "superseded": "something newer took its place before it was sent",
    "no_answer": "the gateway did not answer; a receipt will tell",
    "sender_died": "the sender ended before the gateway's answer was kept; a receipt will tell",
    "no_receipt": "the gateway owed a receipt and gave none, so it never had it",
    "invalid_number": "the number is none",
    "throttled": "the gateway took no more for the moment",
    "gateway_away": "the gateway was away",
}


async def story(store: Store, customer_id: str, zone: str) -> str:
    """Who they are to us, and all of it, oldest first; times on the site's clock.

    Raises:
        ConfigError: There is no such customer.
    """
    decisions = await store.outbox.decisions(customer_id=customer_id)
    notices = await store.outbox.of_customer(customer_id)
    if not decisions and not notices and await store.customer_status(customer_id) is None:
        raise ConfigError(f"no customer has the id {customer_id!r}; see: lastgasp network export")
    lines = sorted([*_decided(decisions), *_became(notices)])
    clock = ZoneInfo(zone)
    told = [f"{local(ms, clock):%Y-%m-%d %H:%M:%S}  {text}" for ms, _, text in lines]
    nothing = "nothing was decided for them yet"
    return "\n".join([await _known(store, customer_id, zone), *(told or [nothing])])


async def _known(store: Store, customer_id: str, zone: str) -> str:
    """How they may be told, in a line."""
    wishes = await store.wishing.wishes(customer_id)
    if wishes is None:
        return f"{customer_id}: not known any more; times of {zone}"
    ways = [f"sms {wishes.phone}"] if wishes.phone else []
    ways += [f"{channel} {address}" for channel, address in wishes.contacts.items()]
    out = "; wants to be told on no channel" if wishes.opted_out_at else ""
    said = ", ".join(ways) or "no number and no address"
    return f"{customer_id}, {wishes.priority}, {wishes.language}: {said}{out}; times of {zone}"


def _decided(decisions: Sequence[PublicNoticeDecision]) -> Iterator[tuple[int, int, str]]:
    for one in decisions:
        what = "tell" if one.send else "do not tell"
        others = one.customers - 1
        alike = f", with {others} other{'s' * (others > 1)}" if others else ""
        why = SAID.get(one.reason, one.reason)
        yield from_rfc3339(one.at), 0, f"{one.outage_id}  {what}: {one.phase} ({why}){alike}"


def _became(notices: Sequence[PublicNotice]) -> Iterator[tuple[int, int, str]]:
    for one in notices:
        when = one.ended_at or one.sent_at or one.at
        why = "" if one.reason == one.decided else f" ({SAID.get(one.reason, one.reason)})"
        text = f": {one.text}" if one.text else ""
        whom = f"{one.channel} {one.phone}".strip()
        said = f"{one.outage_id}  {one.phase} to {whom}: {one.state}{why}{text}"
        yield from_rfc3339(when), 1, said
