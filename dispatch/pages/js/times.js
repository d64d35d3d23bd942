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
  const sameDay = (a, b) => key.format(of(a)) === key.format(of(b));
  const tomorrow = (at, now) => sameDay(at, of(now) + 24 * 60 * MINUTE) && !sameDay(at, now);
  /** 16:42 today; 明天 08:00 / tomorrow 08:00; 7月31日周五 16:42 / Fri 31 Jul, 16:42 */
  const when = (at, now) => {
    if (sameDay(at, now)) return time(at);
    if (tomorrow(at, now)) return zh ? `明天${time(at)}` : `${time(at)} tomorrow`;
    return zh ? `${day(at)} ${time(at)}` : `${day(at)}, ${time(at)}`;
  };
  /** A window: 17:00至19:00 / 17:00 to 19:00, with its days where they are not today. */
  const between = (from, to, now) => {
    const end = sameDay(from, to) ? time(to) : when(to, now);
    return zh ? `${when(from, now)}至${end}` : `${when(from, now)} to ${end}`;
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
  return { time, seconds, day, when, between, span, age, count, percent, zone, language };
}

/** A window rounded outward to whole steps of minutes.
 * @param {number} fromMs @param {number} toMs @param {number} minutes */
export function outward(fromMs, toMs, minutes) {
  const step = minutes * MINUTE;
  return [Math.floor(fromMs / step) * step, Math.ceil(toMs / step) * step];
}
