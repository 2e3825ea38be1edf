/**
 * Numbers and times as people read them. Pure functions, no DOM.
 * The page is in English, so digits are grouped the English way; times are in the viewer's own time zone.
 */

const WORDS = "en";
const whole = new Intl.NumberFormat(WORDS, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(WORDS, { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 3 });
const short = new Intl.NumberFormat(WORDS, { notation: "compact", maximumSignificantDigits: 3 });
const significant = new Intl.NumberFormat(WORDS, { maximumSignificantDigits: 3 });
const estimated = new Intl.NumberFormat(WORDS, { maximumSignificantDigits: 4 });
const exact = new Intl.NumberFormat(WORDS, { maximumSignificantDigits: 15 });
const percent = new Intl.NumberFormat(WORDS, { style: "percent", maximumFractionDigits: 0 });
const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const clockOf = new Intl.DateTimeFormat("en-GB", clock);
const fineClockOf = new Intl.DateTimeFormat("en-GB", { ...clock, fractionalSecondDigits: 3 });
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const yearDayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

const MISSING = "–";
const RAREST = 999e12; // rarities are cut off at 10^15

/** 12345.6 -> "12,346"; what is not a finite number -> a dash. */
export function count(value) {
  return Number.isFinite(value) ? whole.format(value) : MISSING;
}

/** A quantity where three digits are enough: 0.0123, 4.56, 78.9, 1,234. */
export function quantity(value) {
  if (!Number.isFinite(value)) return MISSING;
  return Math.abs(value) >= 100 ? whole.format(value) : significant.format(value);
}

/** Any value of a record: numbers keep up to 15 digits, everything else is its own text. */
export function value(given) {
  if (given === null || given === undefined) return "missing";
  if (typeof given === "number") return exact.format(given);
  if (typeof given === "object") return JSON.stringify(given, (_key, part) => (typeof part === "bigint" ? String(part) : part));
  return String(given);
}

/** What was expected instead: a number is an estimate and is shown to four digits. */
export function expectation(given) {
  if (typeof given !== "number") return value(given);
  return Math.abs(given) >= 1000 ? whole.format(given) : estimated.format(given);
}

/** 0.734 -> "73%". */
export function share(fraction) {
  return Number.isFinite(fraction) ? percent.format(fraction) : MISSING;
}

/** 12345 -> "1 in 12,345"; from a million on in words: "1 in 3.2 million"; where the scale ends, "1 in 10¹⁵+". */
export function oneIn(n) {
  if (!Number.isFinite(n) || n <= 0) return MISSING;
  if (n >= RAREST) return "1 in 10¹⁵+";
  return `1 in ${n < 1e6 ? whole.format(Math.max(1, n)) : compact.format(n)}`;
}

/** The same for an axis: "1 in 1k", "1 in 1M". */
export function oneInShort(n) {
  return `1 in ${n < 1e5 ? whole.format(n) : n < 1e15 ? short.format(n) : `10^${Math.round(Math.log10(n))}`}`;
}

/** A rate such as 0.001 -> "1 in 1,000"; zero -> "none". */
export function rate(fraction) {
  if (!Number.isFinite(fraction)) return MISSING;
  return fraction > 0 ? oneIn(1 / fraction) : "none";
}

/** A short time in its best unit: 0.0086 -> "8.6 ms", 2.5 -> "2.5 s", 200 -> "3 min". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return MISSING;
  return seconds < 1 ? `${significant.format(seconds * 1000)} ms` : seconds < 100 ? `${significant.format(seconds)} s` : wait(seconds);
}

/** A wait in words: 42 -> "42 s", 125 -> "2 min", 7200 -> "2 h". */
export function wait(seconds) {
  if (seconds < 100) return `${Math.floor(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** An RFC 3339 text or epoch seconds -> epoch seconds, or null where there is none. */
export function epoch(time) {
  if (typeof time === "number") return Number.isFinite(time) ? time : null;
  if (typeof time !== "string") return null;
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

/** Local time: the clock alone for today, with the day before it otherwise, with the year when it is another one. */
export function time(epochS, now = new Date()) {
  if (epochS === null || epochS === undefined) return MISSING;
  const moment = new Date(epochS * 1000);
  if (Number.isNaN(moment.getTime())) return MISSING;
  if (moment.toDateString() === now.toDateString()) return clockOf.format(moment);
  const day = moment.getFullYear() === now.getFullYear() ? dayOf : yearDayOf;
  return `${day.format(moment)} ${clockOf.format(moment)}`;
}

/** Local time with the day and milliseconds. */
export function fullTime(epochS) {
  const moment = new Date((epochS ?? NaN) * 1000);
  return Number.isNaN(moment.getTime()) ? "no event time" : `${yearDayOf.format(moment)} ${fineClockOf.format(moment)}`;
}

/** The same moment in UTC, for titles. */
export function utc(epochS) {
  const moment = new Date((epochS ?? NaN) * 1000);
  return Number.isNaN(moment.getTime()) ? "no event time" : `${moment.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** `plural(1, "record")` -> "1 record", `plural(3, "record")` -> "3 records". */
export function plural(n, noun, nouns = `${noun}s`) {
  return `${count(n)} ${n === 1 ? noun : nouns}`;
}
