// Formats times and numbers for people.

import type { Digits } from '../wire/digits';

const time = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const date = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
const shortDate = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat('en');
/** From this value on, a number is shown in exponent notation where space is limited. */
const HUGE = 1e15;

/** `14:03:22.481`, in the viewer's time zone. */
export function clockTime(ms: number): string {
  if (!Number.isFinite(ms)) return '—';
  return `${time.format(ms)}.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, '0')}`;
}

export function dateTime(ms: number): string {
  return Number.isFinite(ms) ? `${date.format(ms)}, ${time.format(ms)}` : '—';
}

/** `Nov 28`, with the year if it is not the year of `now`. */
export function day(ms: number, now: number): string {
  if (!Number.isFinite(ms)) return '—';
  return new Date(ms).getFullYear() === new Date(now).getFullYear() ? shortDate.format(ms) : date.format(ms);
}

/** Whether two times are on the same day in the viewer's time zone. */
export function isSameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** Start of the day that contains `ms`, and start of the next day. */
export function dayOf(ms: number): [from: number, to: number] {
  const from = new Date(ms).setHours(0, 0, 0, 0);
  return [from, new Date(from).setDate(new Date(from).getDate() + 1)];
}

/** The time in UTC, to the millisecond. */
export function utc(ms: number): string {
  return Number.isFinite(ms) ? `${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')} UTC` : '';
}

/** The text of a tooltip: date and time in the viewer's time zone, and in UTC. */
export function moment(ms: number): string {
  return Number.isFinite(ms) ? `${dateTime(ms)}\n${utc(ms)}` : '';
}

/** `now`, `42 s ago`, `5 min ago`, `3 h ago`, or the date. */
export function ago(ms: number, now: number): string {
  const seconds = Math.round((now - ms) / 1000);
  if (seconds < -60) return dateTime(ms);
  if (seconds < 3) return 'now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return day(ms, now);
}

/** `840 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return '—';
  if (ms > 0 && ms < 1) return '<1 ms';
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  // Rounded before the division, so that the result is never `60.0 s`.
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000) || 1;
  if (minutes < 60) return `${minutes} min ${Math.max(0, Math.floor((ms - minutes * 60_000) / 1000))} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return days < 10_000 ? `${exact(days)} d ${hours % 24} h` : `${short(days)} d`;
}

/** A short form: `9,999`, `12.3K`, `1.5e+300`. */
export function short(value: number | Digits): string {
  const size = Number(value);
  if (!Number.isFinite(size)) return exact(value);
  if (Math.abs(size) >= HUGE) return String(Number(size.toPrecision(3)).toExponential());
  return Math.abs(size) < 10_000 ? whole.format(size) : compact.format(size);
}

/** All digits as they were written, not as a double rounds them; whole numbers get group separators. */
export function exact(value: number | Digits): string {
  const text = String(value);
  return /^-?\d+$/.test(text) ? text.replace(/\B(?=(\d{3})+$)/g, ',') : text;
}

/** An amount in micro-dollars: `$0.0342`, `$12.30`. */
export function dollars(micro: number): string {
  const digits = micro === 0 || micro >= 1e6 ? 2 : micro >= 10_000 ? 3 : micro >= 100 ? 4 : 6;
  return `$${(micro / 1e6).toFixed(digits)}`;
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  let [size, unit] = [value, 0];
  // A size that would be rounded to 1000 is shown in the next unit.
  while (Math.round(size) >= 1000 && unit < units.length - 1) [size, unit] = [size / 1000, unit + 1];
  const shown = size.toFixed(size < 9.95 && unit > 0 ? 1 : 0);
  return `${size < HUGE ? shown : short(size)} ${units[unit]}`;
}
