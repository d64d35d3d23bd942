"""The words of a text: one segment, in the reader's language, and never half a sentence.

Templates are Jinja2's sandbox over ``notify/texts/*.toml``.  A text that is longer than a segment
drops the count of homes, then the cause, then says "your home" for a long address;
never the state or a time.  A value that is missing makes it fall back to the phase's bare form, and
that is counted.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import smsutil
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from grid.errors import ConfigError
from grid.notice import Facts, Phase
from notify import windows
from notify.longest import longest

LANGUAGES = ("zh", "en")
LEAD = "lead_"  # what the keys of texts to staff begin with
LEADS = frozenset({"lead_confirmed", "lead_restored", "lead_cancelled"})
KEYS = frozenset({phase.value for phase in Phase} - {Phase.TO_VERIFY.value} | {"no_etr"} | LEADS)
HOMES_MIN = 5  # fewer would point at somebody
PLACE_MAX = 20  # characters: the gateways' limit on a variable
NEXT_MS = 3_600_000  # a promise that has passed unsent is made anew for so much later


class Reader(msgspec.Struct, frozen=True):
    """Whom a text is for.  ``place`` is their address, blank where unknown."""

    language: str
    place: str = ""
    firm: bool = False
    staff: bool = False


class Sms(msgspec.Struct, frozen=True):
    """A text ready to be sent."""

    body: str
    parts: tuple[str, ...]
    gsm: bool  # GSM 03.38; else UCS-2
    bare: bool  # a value was missing
    next_ms: int | None = None  # the next word was promised by then
    key: str = ""  # of its template
    values: Mapping[str, str] = {}  # what was filled in; of those that are words

    def __repr__(self) -> str:
        """Addresses stay out of logs."""
        return f"Sms({len(self.parts)} parts)"


class Wording:
    """The texts of one installation."""

    def __init__(
        self,
        zone: tzinfo,
        *,
        signatures: Mapping[str, str],
        hotline: str,
        folder: Path | None = None,
    ) -> None:
        self._zone = zone
        self._signatures = signatures
        self._hotline = hotline
        self._sheets = {language: _Sheet(language, folder) for language in LANGUAGES}
        for language in LANGUAGES:
            self._check(language)

    def write(self, phase: Phase, facts: Facts, reader: Reader, now_ms: int) -> Sms:
        """The text of a phase for somebody, as of now."""
        language = reader.language if reader.language in LANGUAGES else LANGUAGES[0]
        sheet = self._sheets[language]
        facts = _current(facts, now_ms)
        values = self._values(phase, facts, language, now_ms)
        key = phase.value
        if reader.staff:
            key = LEAD + key
        elif phase is Phase.CONFIRMED and facts.etr is None:
            key = "no_etr"
        for tried in _shorter(values, reader.place[:PLACE_MAX] or sheet.place, sheet.place):
            sms = self._written(sheet, key, tried, firm=reader.firm)
            if len(sms.parts) == 1:
                break
        promised = phase in (Phase.CONFIRMED, Phase.UPDATE, Phase.DETECTED) and not sms.bare
        words = {name: value for name, value in tried.items() if isinstance(value, str)}
        return msgspec.structs.replace(
            sms, next_ms=facts.next_ms if promised else None, key=key, values=words
        )

    def _written(self, sheet: "_Sheet", key: str, values: Mapping[str, Any], *, firm: bool) -> Sms:
        text, bare = sheet.templates[key]
        try:
            said, short = text.render(values), False
        except TemplateError:
            said, short = bare.render(p=values["p"], line=values["line"]), True
        if firm:
            for home, premises in sheet.firm.items():
                said = said.replace(home, premises)
        return _sms(self._signatures[sheet.language] + said, bare=short)

    def _values(self, phase: Phase, facts: Facts, language: str, now_ms: int) -> dict[str, Any]:
        """What is known, by the templates' names."""
        sheet, zone = self._sheets[language], self._zone
        site = facts.site_ms is not None
        known: dict[str, Any] = {"line": self._hotline, "crew": bool(facts.etr and facts.etr.crew)}
        times = {"on": facts.off_ms, "nx": facts.next_ms, "at": facts.site_ms, "t": facts.on_ms}
        if facts.arrive_ms is not None:
            times["arr"] = windows.up(facts.arrive_ms, windows.FINE_MIN, zone)
        for name, ms in times.items():
            if ms is not None:
                known[name] = windows.clock(ms, now_ms, language, zone)
        if facts.etr is not None:
            window = windows.outward(facts.etr, on_site=site, zone=zone)
            known["win"] = known["new"] = windows.ahead(window, now_ms, language, zone)
        if facts.was is not None:
            window = windows.outward(facts.was, on_site=site, zone=zone)
            known["was"] = windows.span(window, now_ms, language, zone)
            known["later"] = facts.etr is not None and facts.etr.to_ms > facts.was.to_ms
        if facts.homes is not None and facts.homes >= HOMES_MIN:
            known["n"] = _rounded(facts.homes)
        known["device"] = (facts.device or "")[:PLACE_MAX]
        known["feeder"] = (facts.feeder or "")[:PLACE_MAX]
        known["c"] = sheet.cause(facts.cause)
        later = bool(known.get("later"))
        known["c2"] = sheet.because(facts.cause) or (sheet.because("conditions") if later else "")
        if facts.on_ms is not None and facts.off_ms is not None:
            known["d"] = windows.lasting(facts.on_ms - facts.off_ms, language)
        if facts.from_ms is not None and facts.to_ms is not None:
            known |= self._plan(phase, facts.from_ms, facts.to_ms, now_ms, language)
        return {name: value for name, value in known.items() if value != ""}

    def _plan(
        self, phase: Phase, from_ms: int, to_ms: int, now_ms: int, language: str
    ) -> dict[str, str]:
        zone = self._zone
        begin_day, end_day = (windows.local(ms, zone).date() for ms in (from_ms, to_ms))
        hour = f"{windows.local(to_ms, zone):%H:%M}"
        if phase is Phase.DAY_BEFORE:
            begin = windows.clock(from_ms, now_ms, language, zone, until=False)
            if language == "en" and (begin_day - windows.local(now_ms, zone).date()).days == 1:
                begin = f"tomorrow {begin[-5:]}"
        else:
            begin = windows.day_and_clock(from_ms, language, zone)
        whole = windows.day_and_clock(to_ms, language, zone)
        return {"begin": begin, "end": hour if begin_day == end_day else whole}

    def _check(self, language: str) -> None:
        """No text is longer than a segment, whatever it has to say.

        Raises:
            ConfigError: One is; with its file and key.
        """
        sheet = self._sheets[language]
        for key in sorted(KEYS):
            values = longest(language) | {"line": self._hotline}
            for tried in _shorter(values, values["p"], sheet.place):
                sms = self._written(sheet, key, tried, firm=True)
                if len(sms.parts) == 1:
                    break
            if len(sms.parts) != 1:
                raise ConfigError(
                    f"{sheet.where}: the text of {key} may need {len(sms.parts)} segments "
                    f"({len(sms.body)} characters at longest); shorten it"
                )


class _Undefined(StrictUndefined):
    """Missing: false where it is asked for, an error where it would be said."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # theirs never returns
        return False


class _Sheet:
    """The templates of a language."""

    def __init__(self, language: str, folder: Path | None) -> None:
        self.language = language
        name = f"{language}.toml"
        own = folder / name if folder else None
        self.where = str(own or f"notify/texts/{name}")
        tree = _read(own.read_text("utf-8") if own else _shipped(name), self.where)
        environment = ImmutableSandboxedEnvironment(
            undefined=_Undefined,
            autoescape=False,  # a text message is no HTML
        )
        self.place = str(tree.get("place", ""))
        self.firm: dict[str, str] = dict(tree.get("firm", {}))
        self._causes: dict[str, str] = dict(tree.get("causes", {}))
        self._because: dict[str, str] = dict(tree.get("because", {}))
        self.templates: dict[str, tuple[Template, Template]] = {}
        missing = KEYS - {key for key, value in tree.items() if isinstance(value, dict)}
        if missing or not self.place:
            lacking = ", ".join(sorted(missing)) or "place"
            raise ConfigError(f"{self.where}: lacks {lacking}; copy it from notify/texts")
        for key in KEYS:
            try:
                pair = [environment.from_string(tree[key][form]) for form in ("text", "bare")]
            except (KeyError, TypeError) as error:
                raise ConfigError(f"{self.where}: [{key}] needs text and bare") from error
            except TemplateError as error:
                raise ConfigError(f"{self.where}: [{key}] is no template: {error}") from error
            self.templates[key] = (pair[0], pair[1])

    def cause(self, cause: str | None) -> str:
        """What a cause is called in this language; blank for one that has no word in it."""
        known = self._causes.get(_code(cause))
        if known is not None or not cause or len(cause) > PLACE_MAX:
            return known or ""
        return cause if cause.isascii() == (self.language == "en") else ""

    def because(self, cause: str | None) -> str:
        """A cause as the reason of something; blank as above."""
        said = self._because.get(_code(cause))
        if said is not None:
            return said
        plain = self.cause(cause)
        return f"of {plain}" if plain and self.language == "en" else plain


def _read(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: is not TOML: {error}") from error


def _shipped(name: str) -> str:
    return resources.files("notify").joinpath("texts", name).read_text("utf-8")


def _shorter(values: Mapping[str, Any], place: str, home: str) -> Iterator[dict[str, Any]]:
    """The values whole, then without the count, without the cause, and without the address."""
    less = {**values, "p": place}
    yield dict(less)
    for name in ("n", "c", "c2", "was"):
        if less.pop(name, None):
            yield dict(less)
    if place != home:
        yield {**less, "p": home}


def _current(facts: Facts, now_ms: int) -> Facts:
    """Without what has become untrue while it waited."""
    if facts.etr is not None and facts.etr.to_ms <= now_ms:
        facts = msgspec.structs.replace(facts, etr=None)
    if facts.next_ms is not None and facts.next_ms <= now_ms:
        facts = msgspec.structs.replace(facts, next_ms=now_ms + NEXT_MS)
    return facts


def _code(cause: str | None) -> str:
    """``cable_fault`` of ``Cable fault``."""
    return (cause or "").strip().lower().replace(" ", "_")


def _rounded(homes: int) -> str:
    """A count that is easy to read and does not change at every text."""
    return f"{homes if homes < 20 else round(homes, -1 if homes < 1000 else -2):,}"


def _sms(body: str, *, bare: bool) -> Sms:
    split = smsutil.split(body)
    parts = tuple(part.content for part in split.parts)
    return Sms(body, parts, split.encoding == "gsm0338", bare)
