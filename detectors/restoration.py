"""Who is back: members are out until they are heard again; who cannot be heard follows their
transformer.

A word that its power is back, from a meter that had said it was gone, is restoration.  A word from
one that had only been silent, while nobody else is back, says that it never was part of the outage.
"""

import numpy as np

from detectors.book import Book
from detectors.evidence import Ear
from detectors.hearing import EVERYONE, Hearing
from detectors.listening import due
from detectors.moments import FAR, NEVER
from detectors.running import STEP_GAP_MS, Running
from detectors.settings import EngineSettings
from detectors.tree import among, distinct, how_many, places, transformers
from detectors.weighing import GUARD_MS
from grid.english import count, form, meters
from grid.network import ALL_PHASES, I64, Bools
from grid.outage import State

FOLLOW_MS = 75_000  # the mute follow their transformer once power-ups had time to come
GIVE_UP_MS = (
    120_000  # after its due heartbeat, a member whom nothing holds for dark is taken for mute
)
BEATS_MISSED = 3.0  # alive, so many heartbeats would all have been missed once in twenty times
# that an outage ends in this very second has odds of about e^-7, as has each part of it that is not
# on the map
ENDS_NOW = 7.0
SURE_MARGIN = 20.0  # while it is young: more is wrong about it than its rates say
YOUNG_MS = 120_000  # by then all first words are in
DOUBT_MS = 40_000  # power-ups come within 30 s, and their way
BELONGS_MS = 120_000  # a gasp this long before the outage's first one still belongs to it


def hear_back(book: Book, hearing: Hearing, limits: EngineSettings, now_ms: int) -> I64:
    """Mark members who were heard again since the last time; returns those who turn out not to be
    part of their outage.
    """
    # where there is doubt, time has its say, too
    book.spoke.update(o.sequence for o in book.running.values() if o.doubt_ms is not None)
    contrary = [np.zeros(0, np.int64)]
    for sequence in sorted(book.spoke):
        outage = book.running.get(sequence)
        if outage is not None and outage.dark:
            contrary.append(_hear_one(book, outage, hearing, limits, now_ms))
    book.spoke.clear()
    return np.concatenate(contrary)


def _hear_one(
    book: Book, outage: Running, hearing: Hearing, limits: EngineSettings, now_ms: int
) -> I64:
    out = places(outage.out)
    node = outage.members[out]
    lag = hearing.lag(node)
    on_ms, off_ms = hearing.on_ms[node], hearing.off_ms[node]
    heard = np.where(on_ms == NEVER, NEVER, on_ms + lag)
    gasped = off_ms + lag >= outage.since_ms - BELONGS_MS
    later = on_ms > off_ms
    # a slow word from before is no news: by our clock, and by its own, it must be well after
    after = heard > outage.since_ms + GUARD_MS
    after &= on_ms > outage.start_ms + GUARD_MS // 2
    back = (heard != NEVER) & later & (gasped | after)
    back &= heard > outage.since_ms
    _news(book, outage, hearing, *_devices_back(book, outage, hearing, limits))
    if not how_many(back):
        return node[:0]
    powered = hearing.back_ms[node] + lag > outage.since_ms
    # who was left in the dark by another outage was out in that
    ends = outage.telemetered or outage.parent is not None or outage.back_ms is not None
    if ends or how_many(back & powered):
        restored = back
    else:
        supported = _supported(book, outage, hearing, node)
        restored = back & _terminal_dead(book, outage, hearing, node)
        # or it was a false gasp, and then the usual report
        restored |= back & supported & (gasped | _resumed(book, outage, hearing, node, back))
        if how_many(back & ~restored):
            restored |= back & _was_dark(book, outage, hearing, limits, node, heard)
        if how_many(supported) and how_many(restored) > 1:
            # heard with those who say that it ends: one more of them, and no word against it
            restored |= back & (heard >= heard[restored].min() - GUARD_MS)
    contrary = back & ~restored
    if how_many(contrary) and _doubted(outage, outage.margin_with(node[contrary]), now_ms):
        return node[:0]
    outage.doubt_ms = None
    which = np.zeros(len(outage.members), np.bool_)
    which[out[restored]] = True
    if how_many(which):
        book.mark_on(outage, which, hearing.on_ms[outage.members[which]])
        hearing.void_ms[node[restored]] = NEVER  # heard: no longer expected
        n = how_many(which)
        text = f"{meters(n)} heard with power again"
        book.note(outage, text, node[restored], code="heard_again", n=n)
    if how_many(contrary):
        book.let_go(outage, node[contrary])
        n = how_many(contrary)
        text = f"{count(n, 'meter reports', 'meters report')} power: not part of it"
        book.note(outage, text, node[contrary], code="report_power", n=n)
    sure = restored & powered
    enough = how_many(restored) + how_many(~outage.out & ~outage.inferred)
    able = how_many(~outage.mute)
    if how_many(restored) and (how_many(sure) or enough >= min(2, able)):
        _news(book, outage, hearing, node[restored], heard[restored])
    alive: I64 = node[contrary]
    return alive


def _doubted(outage: Running, margin: float, now_ms: int) -> bool:
    """Whether to wait for other voices where one that was silent all along has power: it may be
    likelier that power is back than that the outage never was, and then they speak soon.

    ``margin``: log-odds of the outage against those of its parts that leave this one alive.
    """
    young = now_ms - outage.since_ms <= YOUNG_MS
    if margin <= (SURE_MARGIN if young else ENDS_NOW):
        return False
    if outage.doubt_ms is None:
        outage.doubt_ms = now_ms
    return now_ms - outage.doubt_ms < DOUBT_MS


def _terminal_dead(book: Book, outage: Running, hearing: Hearing, node: I64) -> Bools:
    """Whose transformer's terminal said in this outage that it is dead: they were, too."""
    above = transformers(book.tree, node)
    terminal = np.maximum(above, 0)
    said = hearing.off_ms[terminal] != NEVER
    said &= hearing.off_ms[terminal] + hearing.lag(terminal) >= outage.since_ms - BELONGS_MS
    dead: Bools = (above >= 0) & said
    return dead


def _supported(book: Book, outage: Running, hearing: Hearing, node: I64) -> Bools:
    """Of whom it is likelier that it ends now than that they never were without power.

    Two gasps in a large section, before the others had time, are soon a false one and one further
    down: then an answer from who had gasped is no restoration.  What is confirmed is so by those
    who spoke: of who is not among them it says nothing.
    """
    if sum(outage.counted) != 1 and outage.margin > ENDS_NOW:
        return np.ones(len(node), np.bool_)
    if outage.confirmed_ms is None:
        return np.zeros(len(node), np.bool_)
    return _among_others(book, outage, hearing, node)


def _among_others(book: Book, outage: Running, hearing: Hearing, node: I64) -> Bools:
    """Who is behind the lowest device above all others of the outage that said they have none."""
    below = np.arange(outage.node, outage.node + int(book.tree.size[outage.node]))
    off_ms = hearing.off_ms[below]
    dead = (off_ms != NEVER) & (off_ms + hearing.lag(below) >= outage.since_ms - BELONGS_MS)
    ours = book.owner[below] == outage.sequence
    ours |= ~book.tree.meters[below] & (hearing.on_ms[below] <= off_ms)
    spoke = below[dead & ours].tolist()
    ends = [*spoke[:2], *spoke[-2:]]  # nodes ascend: what is above the outer two is above all
    reached = np.ones(len(node), np.bool_)
    for place, one in enumerate(node.tolist()):
        others = [other for other in ends if other != one]
        if others:
            top = others[0]
            while not book.contains(top, others[-1]):
                top = int(book.tree.parent[top])
            reached[place] = book.contains(top, one)
    return reached


def _was_dark(
    book: Book,
    outage: Running,
    hearing: Hearing,
    limits: EngineSettings,
    node: I64,
    heard: I64,
) -> Bools:
    """Whether so many of their transformer's others had missed a heartbeat by then that they were
    dark together.
    """
    place = transformers(book.tree, node) + 1  # 0: has no transformer
    able = outage.members[outage.out & ~outage.mute]  # ``node`` may be a terminal among them
    able = able[~_brought_nothing(book, outage, hearing, node[heard > outage.since_ms])[able]]
    beside = transformers(book.tree, able) + 1
    first = np.full(len(book.owner) + 1, NEVER)
    first[place] = FAR
    np.minimum.at(first, place, heard)
    slack_ms = int(limits.heartbeat_slack_s * 1000)
    periods = hearing.period_ms(limits.heartbeat_s, able)
    over = hearing.on_ms[able] + hearing.lag(able) + periods + slack_ms
    missed = np.bincount(beside[over < first[beside]], minlength=len(first))[place]
    dark: Bools = (place > 0) & (missed > BEATS_MISSED)
    return dark


def _resumed(book: Book, outage: Running, hearing: Hearing, node: I64, back: Bools) -> Bools:
    """Who had missed a heartbeat, and not because one concentrator was mute: two are not mute until
    the same moment by chance.
    """
    missed: Bools = hearing.resumed[node] > 0
    if len(set(book.group.dcu[node[back]].tolist())) == 1:
        missed &= ~_brought_nothing(book, outage, hearing, node[back])[node]
    return missed


def _brought_nothing(book: Book, outage: Running, hearing: Hearing, back: I64) -> Bools:
    """Entry a node: whether its concentrator has brought nothing since the outage began but what
    these said who are ``back``: it may have been mute, and then nobody missed a word behind it.
    """
    dcu = book.group.dcu
    lag = hearing.lag()
    word = hearing.on_ms[EVERYONE] + lag > outage.since_ms + GUARD_MS
    word |= hearing.off_ms[EVERYONE] + lag > outage.since_ms - GUARD_MS
    word[back] = False
    silent = np.ones(len(book.group.dcus) + 1, np.bool_)
    silent[dcu[word]] = False
    silent[-1] = False  # of who has none
    silent_of: Bools = silent[dcu]
    return silent_of


def _devices_back(
    book: Book, outage: Running, hearing: Hearing, limits: EngineSettings
) -> tuple[I64, I64]:
    """Terminals behind the device that had been dead and came back, and when (ours).

    Where one phase is gone they live all the time: then it is who has the phase again.
    """
    if outage.phases != ALL_PHASES:
        back_ms = [ms for ms in (outage.phase_back_ms,) if ms is not None]
        return np.full(len(back_ms), outage.node), np.array(back_ms, np.int64)
    nodes = np.arange(outage.node, outage.node + int(book.tree.size[outage.node]))
    nodes = nodes[~book.tree.meters[nodes] & (hearing.on_ms[nodes] > hearing.off_ms[nodes])]
    lag = hearing.lag(nodes)
    said_off = hearing.off_ms[nodes] + lag >= outage.since_ms - BELONGS_MS
    said_off &= hearing.off_ms[nodes] != NEVER
    heard = hearing.on_ms[nodes] + lag
    back = said_off & (heard > outage.since_ms)
    quiet = places(~said_off & (heard > outage.since_ms + GUARD_MS))
    if len(quiet):
        back[quiet] = _was_dark(book, outage, hearing, limits, nodes[quiet], heard[quiet])
    return nodes[back], heard[back]


def _news(book: Book, outage: Running, hearing: Hearing, nodes: I64, heard: I64) -> None:
    """Somebody is back: from now on whoever shares their restoration is expected, too."""
    if outage.telemetered or len(nodes) == 0:
        return  # its device says that it is open: fed from elsewhere, or drawn in the wrong place
    if outage.back_ms is None:
        outage.back_ms = int(heard.min())
        expect(book, outage, hearing, outage.node, outage.back_ms)
        return
    late = heard > outage.back_ms + GUARD_MS
    transformer = transformers(book.tree, nodes[late])
    places = np.where(transformer >= 0, transformer, nodes[late])
    for place in sorted(set(places.tolist())):
        first = int(heard[late][places == place].min())
        span = (outage.back_ms - GUARD_MS, first - GUARD_MS)
        region = _dark_during(book, outage, hearing, place, span)
        if region is not None:
            expect(book, outage, hearing, region, first)


def _dark_during(
    book: Book, outage: Running, hearing: Hearing, place: int, span: tuple[int, int]
) -> int | None:
    """The highest node above a place, within the outage, below which nobody was heard in a span."""
    region = None
    while place >= outage.node:
        below = slice(place, place + int(book.tree.size[place]))
        heard = hearing.on_ms[below] + hearing.lag(below)
        spoke = (heard > span[0]) & (heard < span[1])
        spoke &= book.tree.phases[below] & ~np.uint8(outage.phases) == 0
        if spoke.any():
            break
        region, place = place, int(book.tree.parent[place])
    return region


def expect(book: Book, outage: Running, hearing: Hearing, node: int, at_ms: int) -> None:
    """From ``at_ms`` (our clock) on, everyone out below a node is expected to be heard again, and
    of terminals, which are no members, each whose last word may be from before the outage.
    """
    nodes = np.arange(node, node + int(book.tree.size[node]))
    heard = hearing.on_ms[nodes] + hearing.lag(nodes)
    dead = (hearing.off_ms[nodes] >= hearing.on_ms[nodes]) | (heard <= outage.since_ms + GUARD_MS)
    dead &= ~book.tree.meters[nodes]
    dead &= book.tree.phases[nodes] & ~np.uint8(outage.phases) == 0
    ours = nodes[(book.owner[nodes] == outage.sequence) | dead]
    hearing.void_ms[ours] = np.maximum(hearing.void_ms[ours], at_ms)


def follow(
    book: Book,
    outage: Running,
    hearing: Hearing,
    *,
    ear: Ear,
    limits: EngineSettings,
    held: Bools,
) -> None:
    """End the steps of members who cannot say it themselves.  ``held``: nodes inference holds for
    dark.
    """
    if outage.back_ms is None or ear.now_ms < outage.back_ms + FOLLOW_MS:
        return
    out = outage.out & ~held[outage.members]
    verified = ~outage.out & ~outage.inferred
    transformer = transformers(book.tree, outage.members)
    fed = among(transformer, distinct(transformer[verified]))
    nobody_else = not (out & ~outage.mute).any()
    periods = hearing.period_ms(limits.heartbeat_s, outage.members)
    slack_ms = int(limits.heartbeat_slack_s * 1000)
    missed_ms = due(hearing.void_ms[outage.members] + periods, periods, slack_ms, ear.gaps)
    silent = out & ~outage.mute & (ear.now_ms > missed_ms + slack_ms + GIVE_UP_MS)
    ends = (out & outage.mute & (fed | nobody_else)) | silent
    if not ends.any():
        return
    outage.inferred |= ends
    members = outage.members[ends]
    book.mark_on(outage, ends, np.full(len(members), outage.back_ms, np.int64))
    which = count(len(members), "meter cannot say it", "meters cannot say it")
    text = f"{which}; {form(len(members), 'it follows its', 'they follow their')} transformer"
    book.note(outage, text, members, code="follow_transformer", n=len(members))


def settle_times(book: Book, outage: Running, hearing: Hearing) -> None:
    """Give members who came back together one time: the median of their power-ups, or the device's
    own word.
    """
    if outage.dark == len(outage.members):
        return
    on = places(book.last_here(outage))
    if len(on) == 0:
        return
    node = outage.members[on]
    back_ms = hearing.back_ms[node]
    powered = (back_ms >= outage.off_ms[on]) & ~outage.inferred[on]
    times = np.sort(back_ms[powered])
    if outage.closed_ms is not None:
        times = np.sort(np.append(times, np.int64(outage.closed_ms)))
    if len(times) == 0:
        return
    cuts = places(np.diff(times) > STEP_GAP_MS) + 1
    begins = np.concatenate([times[:1], times[cuts]])
    steps = np.array([_together(part, outage.closed_ms) for part in np.split(times, cuts)])
    word = np.where(powered, back_ms, outage.on_ms[on])
    step = np.searchsorted(begins, word, "right") - 1
    settled = np.where(step >= 0, steps[np.maximum(step, 0)], word)
    outage.on_ms[on] = np.maximum(settled, outage.off_ms[on])
    _with_their_transformer(book, outage, on, powered)
    book.back_ms[node] = outage.on_ms[on]
    if outage.restored_ms is not None:
        outage.restored_ms = int(outage.on_ms.max())


def _together(times: I64, closed_ms: int | None) -> int:
    if closed_ms is not None and times[0] <= closed_ms <= times[-1]:
        return closed_ms
    middle = times[(len(times) - 1) // 2 : len(times) // 2 + 1].tolist()  # one, or two
    return int(sum(middle) / len(middle))


def _with_their_transformer(book: Book, outage: Running, on: I64, powered: Bools) -> None:
    """Who has no power-up of their own takes the latest of their transformer's that is not after
    their word.
    """
    if how_many(powered) == len(on):
        return
    above = transformers(book.tree, outage.members[on])
    feeding = distinct(above)
    place = np.searchsorted(feeding, above)
    latest = np.full(len(feeding), NEVER, np.int64)
    np.maximum.at(latest, place[powered], outage.on_ms[on[powered]])
    at = latest[place]
    takes = ~powered & (at != NEVER) & (outage.inferred[on] | (at <= outage.on_ms[on]))
    outage.on_ms[on[takes]] = np.maximum(at, outage.off_ms[on])[takes]


def restoring(book: Book) -> list[int]:
    """Where outages are being restored, and what they left behind."""
    running = book.running.values()
    return [o.node for o in running if o.back_ms is not None or o.parent is not None]


def finish(book: Book, outage: Running, now_ms: int) -> None:
    """Move the state on: partly restored, restored."""
    if outage.state is State.RESTORED or len(outage.members) == 0:
        return
    dark, members = outage.dark, len(outage.members)
    if not dark:
        outage.state = State.RESTORED
        outage.restored_ms = int(outage.on_ms.max())
        outage.ended_ms = now_ms
        book.note(outage, "restored", code="restored")
    elif dark < members and outage.state is not State.PARTIALLY_RESTORED:
        outage.state = State.PARTIALLY_RESTORED
        n = members - dark
        text = f"{n} of {meters(members)} restored"
        book.note(outage, text, code="partly_restored", n=n, of=members)
