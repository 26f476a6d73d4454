// Number of sessions by state: open sessions, and ended ones by outcome.

import { OUTCOMES, toneOf } from '../../store/outcome';
import { isLive, type Row } from '../../store/row';
import { LIVE_MS } from '../../store/rate';

export interface Standing {
  name: string;
  value: number;
  href: string;
  tone: string;
  title?: string;
}

export function standings(rows: Row[], now: number): Standing[] {
  const active = rows.filter((row) => row.status === 'active');
  const live = active.filter((row) => isLive(row.status, row.updated, now)).length;
  const ended = rows.filter((row) => row.status !== 'active');
  const unknown = ended.filter((row) => row.outcome === '').length;
  const others = [...new Set(ended.map((row) => row.outcome))].filter(
    (outcome) => outcome !== '' && !OUTCOMES.some((known) => known === outcome),
  );
  const by = (outcome: string): Standing => ({
    name: outcome,
    value: ended.filter((row) => row.outcome === outcome).length,
    href: `#/sessions?outcome=${encodeURIComponent(outcome)}`,
    tone: toneOf(outcome) || 'session',
  });
  const open = {
    name: 'open, idle',
    value: active.length - live,
    href: '#/sessions?status=active',
    tone: 'action',
    title: `no end is recorded, and no event within the last ${LIVE_MS / 1000} s`,
  };
  return [
    {
      name: 'active now',
      value: live,
      href: '#/sessions?status=active',
      tone: 'ok',
      title: `an event within the last ${LIVE_MS / 1000} s`,
    },
    open,
    ...(ended.length === 0 || unknown < ended.length ? OUTCOMES.map(by) : []),
    ...others.slice(0, 6).map(by),
    ...(unknown === 0
      ? []
      : [
          {
            name: 'completed',
            value: unknown,
            href: '#/sessions?status=completed',
            tone: 'session',
            title: 'the service does not report their outcome',
          },
        ]),
  ];
}

/** The sum of the known counts; null if none is known. */
export function sum(counts: (number | null)[]): number | null {
  const known = counts.filter((count) => count !== null);
  return known.length === 0 ? null : known.reduce((total, count) => total + count, 0);
}
