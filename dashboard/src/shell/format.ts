// Times and numbers as people read them.

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

/** `14:03:22.481`, in the viewer's zone. */
export function clockTime(ms: number): string {
  if (!Number.isFinite(ms)) return '—';
  return `${time.format(ms)}.${String(((ms % 1000) + 1000) % 1000).padStart(3, '0')}`;
}

export function dateTime(ms: number): string {
  return Number.isFinite(ms) ? `${date.format(ms)}, ${time.format(ms)}` : '—';
}

export function day(ms: number): string {
  return shortDate.format(ms);
}

/** The moment in UTC to the millisecond. */
export function utc(ms: number): string {
  return Number.isFinite(ms) ? `${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')} UTC` : '';
}

/** `now`, `42 s`, `5 min`, `3 h`, or the date. */
export function ago(ms: number, now: number): string {
  const seconds = Math.round((now - ms) / 1000);
  if (seconds < 3) return 'now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return shortDate.format(ms);
}

/** `840 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return '—';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function short(value: number): string {
  return value < 10_000 ? whole.format(value) : compact.format(value);
}

export function exact(value: number): string {
  return whole.format(value);
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [size, unit] = [value, 0];
  while (size >= 1000 && unit < units.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${size.toFixed(size < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}
