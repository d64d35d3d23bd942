/**
 * Times, spans and numbers as people read them, in the site's zone, never the browser's.  Pure.
 * A clock has 24 hours and no midnight of two readings: 24:00 is never said.
 */

const MINUTE = 60_000;

/**
 * @param {string} zone an IANA name like Asia/Shanghai
 * @param {"zh" | "en"} language
 */
export function times(zone, language) {
  const zh = language === "zh";
  const locale = zh ? "zh-CN" : "en-GB";
  const format = (options) => new Intl.DateTimeFormat(locale, { timeZone: zone, hourCycle: "h23", ...options });
  const clock = format({ hour: "2-digit", minute: "2-digit" });
  const exact = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const parts = format({ weekday: "short", day: "numeric", month: "short" });
  const key = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
  const numbers = new Intl.NumberFormat(zh ? "zh-CN" : "en-US");
  const of = (at) => (typeof at === "string" ? Date.parse(at) : at);

  /** 16:42 */
  const time = (at) => clock.format(of(at));
  /** 16:42:07 */
  const seconds = (at) => exact.format(of(at));
  /** 7月31日周五 / Fri 31 Jul */
  const day = (at) => {
    const found = Object.fromEntries(parts.formatToParts(of(at)).map((p) => [p.type, p.value]));
    return zh ? `${found.month}${/月/.test(found.month) ? "" : "月"}${found.day}日${found.weekday}`
      : `${found.weekday} ${found.day} ${found.month}`;
  };
  /** 7月31日 / 31 Jul, where there is little room. */
  const date = (at) => {
    const found = Object.fromEntries(parts.formatToParts(of(at)).map((p) => [p.type, p.value]));
    return zh ? `${found.month}${/月/.test(found.month) ? "" : "月"}${found.day}日` : `${found.day} ${found.month}`;
  };
  const sameDay = (a, b) => key.format(of(a)) === key.format(of(b));
  const tomorrow = (at, now) => sameDay(at, of(now) + 24 * 60 * MINUTE) && !sameDay(at, now);
  /** 16:42 today; 明天 08:00 / tomorrow 08:00; 7月31日周五 16:42 / Fri 31 Jul, 16:42 */
  const when = (at, now) => {
    if (sameDay(at, now)) return time(at);
    if (tomorrow(at, now)) return zh ? `明天${time(at)}` : `${time(at)} tomorrow`;
    return zh ? `${day(at)} ${time(at)}` : `${day(at)}, ${time(at)}`;
  };
  /** Midnight can be read two ways, so nobody says it: 23:59 the day before, or 00:01. */
  const said = (at, until) => (time(at) === "00:00" ? of(at) + (until ? -MINUTE : MINUTE) : of(at));
  /** A moment by which something is promised. */
  const by = (at, now) => when(said(at, true), now);
  /** A window: 17:00至19:00 / 17:00 to 19:00, with its days where they are not today. */
  const between = (from, to, now) => {
    const [start, last] = [said(from, false), said(to, true)];
    const end = sameDay(start, last) ? time(last) : when(last, now);
    return zh ? `${when(start, now)}至${end}` : `${when(start, now)} to ${end}`;
  };
  /** A window that is still to come; of one that has begun its end: 19:00前 / by 19:00. */
  const ahead = (from, to, now) => {
    if (of(from) > of(now)) return between(from, to, now);
    return zh ? `${by(to, now)}前` : `by ${by(to, now)}`;
  };
  /** 3小时50分 / 3 h 50 min; less than a minute is 1. */
  const span = (ms) => {
    const minutes = Math.max(1, Math.round(ms / MINUTE));
    const [h, m] = [Math.floor(minutes / 60), minutes % 60];
    if (h === 0) return zh ? `${m}分钟` : `${m} min`;
    if (m === 0) return zh ? `${h}小时` : `${h} h`;
    return zh ? `${h}小时${m}分` : `${h} h ${m} min`;
  };
  /** An age, short: 4秒, 2分, 3小时 / 4 s, 2 min, 3 h. */
  const age = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 100) return zh ? `${s}秒` : `${s} s`;
    const m = Math.floor(s / 60);
    if (m < 100) return zh ? `${m}分钟` : `${m} min`;
    return zh ? `${Math.floor(m / 60)}小时` : `${Math.floor(m / 60)} h`;
  };
  /** 12,840, in both languages. */
  const count = (n) => numbers.format(n);
  const percent = (p) => `${Math.floor(p * 100)}%`;
  const colon = zh ? "：" : ": ";
  return { colon, time, seconds, day, date, when, by, between, ahead, sameDay, span, age, count, percent, zone, language };
}

/** A moment as the site's clock on the wall says it: 2026-07-31T16:45. */
export function wall(ms, zone) {
  const format = new Intl.DateTimeFormat("en-CA", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit",
    day: "2-digit", hour: "2-digit", minute: "2-digit" });
  const parts = Object.fromEntries(format.formatToParts(ms).map((p) => [p.type, p.value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** The moment at which the site's clock says so, RFC 3339. */
export function instant(text, zone) {
  const guess = Date.parse(`${text}:00Z`);
  let at = guess;
  for (let i = 0; i < 2; i += 1) at += guess - Date.parse(`${wall(at, zone)}:00Z`);
  return new Date(at).toISOString();
}

/** How far the site's clock is ahead of UTC, whole minutes in ms. */
function ahead(ms, zone) {
  const minute = Math.floor(ms / MINUTE) * MINUTE;
  return Date.parse(`${wall(minute, zone)}:00Z`) - minute;
}

/** The last full step of the site's clock at or before a moment. */
export function down(ms, minutes, zone) {
  const step = minutes * MINUTE;
  const by = ahead(ms, zone);
  return Math.floor((ms + by) / step) * step - by;
}

/** The first full step of the site's clock at or after a moment. */
export function up(ms, minutes, zone) {
  const floor = down(ms, minutes, zone);
  return floor === ms ? ms : floor + minutes * MINUTE;
}
