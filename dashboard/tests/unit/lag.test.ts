import { describe, expect, it } from 'vitest';
import { Lag } from '../../src/store/lag';
import type { Health } from '../../src/wire/session';

const AT = { epoch: 'e', offset: 7 };

/** A service that reports its position, or, for a limited key, only whether there are more events. */
function service(storage: { epoch: string; offset: number } | null, more: boolean | Error) {
  const health = { status: 'healthy', uptime: 1, ...(storage && { storage }) } as unknown as Health;
  return {
    health: () => Promise.resolve(health),
    hasAfter: () => (more instanceof Error ? Promise.reject(more) : Promise.resolve(more)),
  };
}

async function thrice(lag: Lag, position: typeof AT | null): Promise<boolean[]> {
  return [await lag.isAlive(position), await lag.isAlive(position), await lag.isAlive(position)];
}

describe('a connection that has gone quiet', () => {
  it('is kept while nothing is missing, and given up when it stays behind', async () => {
    const [kept, given] = [
      [true, true, true],
      [true, false, false],
    ];
    expect(await thrice(new Lag(service(AT, true)), AT)).toEqual(kept);
    expect(await thrice(new Lag(service({ epoch: 'e', offset: 8 }, false)), AT)).toEqual(given);
    expect(await thrice(new Lag(service({ epoch: 'f', offset: 8 }, true)), AT)).toEqual(kept);
    expect(await thrice(new Lag(service({ epoch: 'e', offset: 8 }, true)), null)).toEqual(kept);
  });

  it('is judged by what a limited key may see', async () => {
    expect(await thrice(new Lag(service(null, false)), AT)).toEqual([true, true, true]);
    expect(await thrice(new Lag(service(null, true)), AT)).toEqual([true, false, false]);
    expect(await thrice(new Lag(service(null, new Error('gone'))), AT)).toEqual([true, true, true]);
  });

  it('is given up at once when the service does not answer', async () => {
    const away = { health: () => Promise.reject(new Error('away')), hasAfter: () => Promise.resolve(false) };
    expect(await new Lag(away).isAlive(AT)).toBe(false);
  });
});
