// What requests cost: by the table that the service's tests read too, and in a conversation whose prices come late.

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../../src/api/api';
import { ApiError } from '../../src/api/error';
import { Conversation } from '../../src/store/conversation/conversation';
import { Rates } from '../../src/store/conversation/rates';
import { ConversationStore } from '../../src/store/conversation/store';
import { addUsage, isGreater, noUsage, snapshotOf, type Snapshot } from '../../src/store/conversation/usage';
import { costOf, originOf } from '../../src/views/conversation/usage';
import type { SessionEvent } from '../../src/wire/event';
import type { Fields } from '../../src/wire/json';
import type { EventPage, UsageReport } from '../../src/wire/session';

type ModelRates = NonNullable<UsageReport['rates']>;

const file = new URL('../../../crates/session-model/tests/fixtures/costs.json', import.meta.url);
const table = JSON.parse(readFileSync(file, 'utf8')) as {
  requests: [about: string, fields: Fields, cost: string | null][];
  rates: ModelRates;
  wrong: Fields[];
  ascending: Fields[];
};

function report(offset: number, rates: ModelRates, unpriced: string[] = []): UsageReport {
  const without = unpriced.map((model) => ({ model, reason: 'no price of this model', requests: 1 }));
  return { offset, total: {}, own: {}, agents: {}, byModel: {}, unpriced: without, rates, prices: [] };
}

function ratesOf(...given: Parameters<typeof report>): Rates {
  const rates = new Rates();
  rates.take(report(...given));
  return rates;
}

/** A model with prices of input and output, in dollars per million tokens. */
const model = (name: string, input: number, output: number, more: Fields = {}): ModelRates[number] => ({
  model: name,
  tiers: [{ above: 0, input: input * 1e6, output: output * 1e6 }],
  ...more,
});
const event = (offset: number, data: Fields): SessionEvent => ({
  offset,
  type: 'action',
  sessionId: 's',
  data: { seq: offset, ...data },
  timestamp: '2026-11-21T12:00:00.000Z',
});
const usage = (messageId: string, name: string, more: Fields = {}): Fields => ({
  type: 'usage',
  messageId,
  model: name,
  input: 1_000_000,
  ...more,
});
const snapshot = (fields: Fields): Snapshot => snapshotOf({ type: 'usage', ...fields }) as Snapshot;

describe('the cost of a request', () => {
  it.each(table.requests)('is that of the service: %s', (_, fields, cost) => {
    expect(ratesOf(1, table.rates).costOf(snapshot(fields))?.toString() ?? null).toBe(cost);
  });

  it('does not count with a number that no request has', () => {
    for (const fields of table.wrong) expect(snapshotOf(fields), JSON.stringify(fields)).toBe(null);
  });

  it('has no model and no provider with a name of more than 128 bytes', () => {
    const named = (name: string): unknown => {
      const { model, provider } = snapshot({ model: name, provider: name });
      return [model, provider];
    };
    for (const name of ['é'.repeat(64), 'x'.repeat(128)]) expect(named(name)).toEqual([name, name]);
    for (const name of ['é'.repeat(65), 'x'.repeat(129), '']) expect(named(name)).toEqual([null, null]);
  });

  it('is that of the greatest snapshot', () => {
    table.ascending.forEach((fields, n) => {
      const one = snapshot(fields);
      expect(isGreater(one, one)).toBe(false);
      for (const lesser of table.ascending.slice(0, n).map(snapshot)) {
        expect(isGreater(one, lesser), JSON.stringify(fields)).toBe(true);
        expect(isGreater(lesser, one), JSON.stringify(fields)).toBe(false);
      }
    });
  });
});

/** The costs of the turns, as they are shown. */
const costs = ({ turns }: Conversation): string[] => turns.map((turn) => costOf(turn.usage));

describe('the cost of a turn', () => {
  const records = [
    { type: 'user_message', text: 'one', turnId: 't1' },
    usage('m1', 'a', { turnId: 't1', input: 400_000 }),
    usage('m1', 'a', { turnId: 't1', output: 100_000 }),
    usage('m2', 'b', { turnId: 't1', agentId: 'x', costUsd: 0.25 }),
    { type: 'user_message', text: 'two', turnId: 't2' },
    usage('m3', 'a', { turnId: 't2', costUsd: 9 }),
    usage('m4', 'none', { turnId: 't2' }),
    usage('m5', 'none', { turnId: 't2', costUsd: 0.5 }),
  ];
  const prices = [model('a', 1, 5), model('b', 3, 3)];

  function folded(rates: Rates): Conversation {
    const conversation = new Conversation(rates);
    records.forEach((record, n) => conversation.add([event(n + 1, record)], n));
    return conversation;
  }

  it('is at list prices, or as its source reported; both add up', () => {
    const conversation = folded(ratesOf(8, prices, ['none']));
    expect(costs(conversation)).toEqual(['$4.50', 'at least $1.50']);
    expect(costOf(conversation.blocks.get('x')!.usage)).toBe('$3.00');
    const all = noUsage();
    for (const turn of conversation.turns) addUsage(all, turn.usage, 1);
    expect(costOf(all)).toBe('at least $6.00');
    expect(originOf(all, '')).toBe(
      '3 model requests at list prices\n1 model request as its source reported\n1 model request without a price',
    );
  });

  it('is the same if the prices come after the records, or in between', () => {
    const rates = new Rates();
    const late = folded(rates);
    expect(costs(late)).toEqual(['at least $0.250', 'at least $9.50']);
    expect(rates.isIncomplete).toBe(true);
    rates.take(report(8, prices, ['none']));
    expect(rates.isIncomplete).toBe(false);
    expect(costs(late)).toEqual(['at least $0.250', 'at least $9.50']);
    const before = late.turns;
    late.price();
    expect(late.turns).toBe(before);
    const expected = folded(rates).turns.map((turn) => turn.usage);
    expect(late.turns.map((turn) => turn.usage)).toEqual(expected);
    late.price();
    expect(late.turns.map((turn) => turn.usage)).toEqual(expected);

    const between = new Rates();
    const conversation = new Conversation(between);
    records.forEach((record, n) => {
      conversation.add([event(n + 1, record)], n);
      if (n !== 3) return;
      between.take(report(4, prices));
      conversation.price();
    });
    expect(conversation.turns.map((turn) => turn.usage)).toEqual(expected);
  });

  it('says why prices are not known', () => {
    const { usage: sum } = folded(new Rates()).turns[0]!;
    expect(originOf(sum, 'no')).toBe(
      'Prices could not be loaded: no\n1 model request as its source reported\n1 model request without a price',
    );
  });
});

describe('prices are missing', () => {
  it('if a record names a model or a provider that a report of later records would know', () => {
    const rates = ratesOf(10, [model('a', 1, 1)], ['none']);
    const isMissing = (name: string | null, provider: string | null, offset: number): boolean => {
      rates.note({ model: name, provider }, offset);
      const found = rates.isIncomplete;
      rates.take(report(offset, [model('a', 1, 1)], ['none']));
      return found;
    };
    expect(isMissing('a', null, 11)).toBe(false);
    expect(isMissing('none', null, 12)).toBe(false);
    expect(isMissing(null, 'p', 13)).toBe(false);
    expect(isMissing('a', 'p', 14)).toBe(true);
    expect(isMissing('b', null, 15)).toBe(true);
    // The report knew the record, and did not count it.
    expect(isMissing('b', null, 15)).toBe(false);
    expect(isMissing('b', null, 16)).toBe(true);
    rates.expire();
    expect(isMissing('a', null, 16)).toBe(true);
    expect(rates.costOf(snapshot({ model: 'a', input: 7 }))).toBe(7_000_000n);
  });

  it('as long as a report is older than the record', () => {
    const rates = new Rates();
    rates.note({ model: 'a', provider: null }, 3);
    rates.note({ model: 'b', provider: null }, 9);
    rates.take(report(5, [model('a', 1, 1)]));
    expect(rates.isIncomplete).toBe(true);
    rates.take(report(9, [model('a', 1, 1)]));
    expect(rates.isIncomplete).toBe(false);
  });

  it('if an amendment names the model', () => {
    const rates = new Rates();
    const conversation = new Conversation(rates);
    conversation.add([event(1, { type: 'usage', messageId: 'm1', key: 'k', input: 1_000_000 })], 0);
    expect(rates.isIncomplete).toBe(false);
    rates.take(report(1, []));
    conversation.add([event(2, { type: 'amend', of: 'k', model: 'a' })], 1);
    expect(rates.isIncomplete).toBe(true);
    rates.take(report(2, [model('a', 2, 2)]));
    conversation.price();
    expect(costs(conversation)).toEqual(['$2.00']);
  });
});

/** A service with a session, whose usage is reported as `answer` says. */
function service(records: Fields[]) {
  const events = records.map((record, n) => event(n + 1, record));
  const page = async (): Promise<EventPage> => ({ events: [...events], at: 0, total: events.length, next: '' });
  const asked: number[] = [];
  const state = { answer: (): UsageReport | Promise<UsageReport> => report(events.length, []) };
  const load = async (): Promise<UsageReport> => {
    asked.push(performance.now());
    return state.answer();
  };
  const api = { readable: page, events: page, usage: load } as unknown as Api;
  let [live, reset] = [(_: number, __: SessionEvent): void => {}, (): void => {}];
  const store = new ConversationStore(api, {
    id: 's',
    total: () => events.length,
    subscribe: (one, again) => {
      [live, reset] = [one, again];
      return () => {};
    },
  });
  const append = (record: Fields): void => {
    events.push(event(events.length + 1, record));
    live(events.length - 1, events.at(-1)!);
  };
  return { store, asked, state, append, reset: () => reset(), events };
}

describe('a conversation loads prices', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

  it('once, if there is a usage record', async () => {
    const { store, asked, state, append, events } = service([{ type: 'user_message', text: 'go' }]);
    state.answer = () => report(events.length, [model('a', 1, 5)]);
    store.start(null);
    await pass(60_000);
    expect(asked).toEqual([]);
    append(usage('m1', 'a'));
    await pass(1);
    expect(asked.length).toBe(1);
    expect(costs(store.conversation)).toEqual(['$1.00']);
    for (let n = 2; n < 50; n += 1) append(usage(`m${n}`, 'a'));
    store.toEnd();
    await pass(60_000);
    expect(costs(store.conversation)).toEqual(['$49.00']);
    expect(asked.length).toBe(1);
    store.close();
  });

  it('again for other models, at most every 10 s, and with several at once', async () => {
    const { store, asked, state, append, events } = service([usage('m1', 'a')]);
    const known = new Set<string>();
    state.answer = () => {
      for (const { data } of events) known.add(data['model'] as string);
      return report(
        events.length,
        [...known].map((name) => model(name, 1, 1)),
      );
    };
    store.start(null);
    await pass(1);
    for (let n = 0; n < 300; n += 1) {
      append(usage(`n${n}`, `model ${n}`));
      await pass(100);
    }
    await pass(10_000);
    expect(costs(store.conversation)).toEqual(['$301.00']);
    expect(asked.length).toBeLessThanOrEqual(5);
    for (const [n, at] of asked.slice(1).entries()) expect(at - asked[n]!).toBeGreaterThanOrEqual(10_000);
    await pass(60_000);
    const before = asked.length;
    append(usage('late', 'b'));
    append(usage('later', 'c'));
    await pass(1000);
    expect(asked.length).toBe(before + 1);
    await pass(60_000);
    expect(asked.length).toBe(before + 1);
    store.close();
  });

  it('and goes on without them, with the reason, until they can be loaded', async () => {
    const { store, asked, state, append, events } = service([usage('m1', 'a', { costUsd: 0.5 }), usage('m2', 'a')]);
    state.answer = () => Promise.reject(new ApiError('unreachable', 'no response', 0));
    store.start(null);
    await pass(1);
    expect([store.error, store.prices.failure]).toEqual(['', 'no response']);
    expect(costs(store.conversation)).toEqual(['at least $0.500']);
    append(usage('m3', 'a', { costUsd: 0.25 }));
    expect(costs(store.conversation)).toEqual(['at least $0.750']);
    await pass(9000);
    expect(asked.length).toBe(1);
    state.answer = () => report(events.length, [model('a', 1, 1)]);
    await pass(2000);
    expect(asked.length).toBe(2);
    expect(store.prices.failure).toBe('');
    expect(costs(store.conversation)).toEqual(['$3.00']);
    store.close();
  });

  it.each([
    ['a refusal', () => Promise.reject(new ApiError('not_found', 'no such route', 404)), 'no such route'],
    [
      'a report without prices',
      (): UsageReport => ({ ...report(1, []), rates: undefined as never }),
      'does not report them',
    ],
    ['prices of another form', () => report(1, [{ model: 'a', tiers: [{ above: 0, input: 0.5 }] }]), ''],
    ['a report of another form', () => ({ rates: [] }) as unknown as UsageReport, ''],
  ])('no more after %s, until the session is fetched again', async (_, answer, reason) => {
    const { store, asked, state, append, reset, events } = service([usage('m1', 'a', { costUsd: 0.5 })]);
    state.answer = answer;
    store.start(null);
    await pass(1);
    expect(store.prices.failure).toContain(reason);
    expect(store.prices.failure).not.toBe('');
    append(usage('m2', 'b'));
    await pass(60_000);
    expect(asked.length).toBe(1);
    expect([store.error, ...costs(store.conversation)]).toEqual(['', 'at least $0.500']);
    state.answer = () => report(events.length, [model('a', 1, 1), model('b', 2, 2)]);
    reset();
    await pass(1000);
    expect(asked.length).toBe(2);
    expect([store.prices.failure, ...costs(store.conversation)]).toEqual(['', '$3.00']);
    store.close();
  });

  it('not after it is closed', async () => {
    const { store, asked, state, append } = service([usage('m1', 'a', { costUsd: 0.5 })]);
    let answer: (report: UsageReport) => void = () => {};
    state.answer = () => new Promise((done) => (answer = done));
    store.start(null);
    await pass(1);
    append(usage('m2', 'b'));
    store.close();
    answer(report(1, [model('a', 1, 1)]));
    await pass(60_000);
    expect(asked.length).toBe(1);
    expect(costs(store.conversation)).toEqual(['at least $0.500']);
  });
});
