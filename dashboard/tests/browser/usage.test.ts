// What a session used and cost, as the service computes it: in the header, by model, and for each turn.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dollars } from '../../src/shell/format';
import { Conversation } from '../../src/store/conversation/conversation';
import { Rates } from '../../src/store/conversation/rates';
import { addUsage, microDollars, noUsage } from '../../src/store/conversation/usage';
import type { Fields, Json } from '../../src/wire/json';
import type { EventPage, UsageReport } from '../../src/wire/session';
import { faults } from './axe';
import { launch, Tab } from './chromium';
import { lines } from './rich';
import { Service } from './service';

let service: Service;
let browser: Browser;

beforeAll(async () => {
  [service, browser] = [await new Service().start(), await launch()];
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

const usage = (messageId: string, model: string, more: Fields): Fields => ({
  type: 'usage',
  messageId,
  model,
  ...more,
});
const fact = (tab: Tab, name: string) => tab.page.locator('main header dl div', { hasText: name }).locator('dd');

describe('the cost of a session', () => {
  it('is that of the service, each request once, and follows new requests', async () => {
    await service.create('priced');
    await service.batch(
      'priced',
      lines([
        { type: 'user_message', text: 'count', turnId: 't1' },
        usage('m1', 'claude-haiku-4-5', { turnId: 't1', input: 400_000, output: 1000 }),
        usage('m1', 'claude-haiku-4-5', { turnId: 't1', input: 1_000_000, output: 100_000 }),
      ]),
    );
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/priced/conversation`);
    await fact(tab, 'Cost').getByText('$1.50', { exact: true }).waitFor();
    await fact(tab, 'Tokens in / out').getByText('1M / 100K').waitFor();
    await service.batch('priced', lines([usage('m2', 'claude-haiku-4-5', { turnId: 't1', input: 500_000 })]));
    await fact(tab, 'Cost').getByText('$2.00', { exact: true }).waitFor();
    await service.batch('priced', lines([usage('m3', 'house-model', { turnId: 't1', input: 7, output: 9 })]));
    await fact(tab, 'Cost').getByText('at least $2.00', { exact: true }).waitFor();
    await tab.close();
  });

  it('is explained by model, with the prices that were used and the models without one', async () => {
    await service.create('models');
    await service.batch(
      'models',
      lines([
        usage('m1', 'claude-haiku-4-5', { input: 1_000_000, output: 100_000 }),
        usage('m2', 'house-model', { input: 12_345, output: 678, agentId: 'a-1' }),
      ]),
    );
    const { prices } = (await service.ask('GET', '/api/sessions/models/usage')) as unknown as {
      prices: { name: string; date: string }[];
    };
    for (const [width, colorScheme] of [
      [360, 'light'],
      [1440, 'dark'],
    ] as const) {
      const options = { viewport: { width, height: 800 }, colorScheme };
      const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/models/timeline`, options);
      await tab.page.getByTitle('usage and cost by model').click();
      const dialog = tab.page.getByRole('dialog', { name: 'Usage and cost' });
      const cells = (name: string): Promise<string[]> =>
        dialog
          .getByRole('row', { name: new RegExp(`^${name}`) })
          .locator('td')
          .allInnerTexts();
      await dialog.getByRole('table').waitFor();
      expect(await cells('claude-haiku-4-5')).toEqual(['$1.50', '1', '1,000,000', '100,000', '0', '0']);
      expect(await cells('house-model')).toEqual(['no price', '1', '12,345', '678', '0', '0']);
      expect(await cells('All')).toEqual(['at least $1.50', '2', '1,012,345', '100,678', '0', '0']);
      expect(await cells('of these, agent a-1')).toEqual(['no price', '1', '12,345', '678', '0', '0']);
      const said = await dialog.innerText();
      expect(said).toContain('Without a price: house-model (1 request)');
      for (const { name, date } of prices) expect(said).toContain(`${name}, ${date}`);
      expect(prices.length).toBeGreaterThan(0);
      expect(await faults(tab.page)).toEqual([]);
      await tab.close();
    }
  });
});

describe('the cost of a turn', () => {
  const ends = (tab: Tab) => tab.page.locator('.turn .cost');

  it('is that of the session, if there is no other turn, with subagents and new models', async () => {
    await service.create('turns');
    const opus = { turnId: 't1', output: 900, reasoning: 500, cacheWrite: 2000, cacheWrite1h: 700, cacheRead: 31_000 };
    const long = { turnId: 't1', input: 150_001, cacheRead: 50_000, output: 1234, reasoning: 1000 };
    await service.batch(
      'turns',
      lines([
        { type: 'user_message', text: 'count', turnId: 't1' },
        usage('m1', 'claude-opus-4-5', { ...opus, output: 3 }),
        usage('m1', 'claude-opus-4-5', { ...opus, provider: 'anthropic' }),
        { type: 'task_spawn', callId: 'c1', turnId: 't1', spawnedAgentId: 'helper' },
        { type: 'agent_started', agentId: 'helper', turnId: 't1', callId: 'c1' },
        usage('m2', 'gemini-2.5-pro', { ...long, agentId: 'helper' }),
      ]),
    );
    const total = async (): Promise<number> => {
      const { total } = await service.ask('GET', '/api/sessions/turns/usage');
      return Number((total as Fields)['costMicroUsd']);
    };
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/turns/conversation`);
    const same = async (before: string): Promise<string> => {
      await fact(tab, 'Cost')
        .getByText(dollars(await total()), { exact: true })
        .waitFor();
      const shown = await fact(tab, 'Cost').innerText();
      expect(shown).not.toBe(before);
      await ends(tab).getByText(shown, { exact: true }).waitFor();
      return shown;
    };
    const first = await same('');
    expect(await ends(tab).getAttribute('title')).toBe('2 model requests at list prices');
    // (150,001 × 2.5 + 50,000 × 0.25 + 1,234 × 15) dollars per million.
    await tab.page.locator('.agent .cost', { hasText: /^\$0\.406$/ }).waitFor();
    await service.batch('turns', lines([usage('m3', 'claude-opus-4-5', { ...opus, provider: 'anthropic' })]));
    const second = await same(first);
    // The next request for prices may come 10 s after the first one.
    await service.batch('turns', lines([usage('m4', 'claude-haiku-4-5', { turnId: 't1', input: 2_000_000 })]));
    await same(second);
    await tab.close();
  });

  it.each([1, 2, 3])('adds up to that of the session, whatever its records are (seed %i)', async (seed) => {
    const id = `chance-${seed}`;
    await service.create(id);
    let state = seed;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const one = <T>(of: T[]): T => of[next(of.length)] as T;
    const count = (): Json => one<Json>([0, next(10), next(300_000), next(300_000), null]);
    const cacheWrite = (): Fields => ({ cacheWrite: 5000 + next(1000), cacheWrite1h: next(5010) });
    const records = Array.from({ length: 600 }, (_, n): Fields => {
      if (next(6) === 0) return { type: 'amend', of: `k${next(150)}`, model: 'gpt-5', cacheRead: 100, turnId: 't1' };
      const counts = { input: count(), output: count(), cacheRead: count(), reasoning: count() };
      return {
        ...usage(one([`m${next(60)}`, '']), one(['claude-opus-4-5', 'gemini-2.5-pro', 'gpt-5', 'own', '']), counts),
        ...(next(2) ? { requestId: `r${next(3)}` } : {}),
        ...(next(3) ? {} : { provider: one(['anthropic', 'gemini', 'elsewhere', '']) }),
        ...(next(2) ? cacheWrite() : {}),
        ...(next(3) ? {} : { agentId: `a${next(3)}` }),
        ...(next(2) ? { key: `k${n % 150}` } : {}),
        ...(next(20) ? {} : { [one(['input', 'costUsd'])]: one(['7', -1]) }),
        turnId: `t${next(4)}`,
      };
    });
    for (const record of records) if (next(4) === 0) for (const key of ['model', 'input']) delete record[key];
    await service.batch(id, lines(records));
    const report = (await service.ask('GET', `/api/sessions/${id}/usage`)) as unknown as UsageReport;
    const query = 'at=0&limit=1000&upgrade=true&max_bytes=65536';
    const { events } = (await service.ask('GET', `/api/sessions/${id}/events?${query}`)) as unknown as EventPage;
    const rates = new Rates();
    const conversation = new Conversation(rates);
    rates.take(report);
    conversation.add(events, 0);
    const all = noUsage();
    for (const turn of conversation.turns) addUsage(all, turn.usage, 1);
    const { input, output, cacheRead, cacheWrite: written, reasoning, requests } = all;
    expect(report.total).toMatchObject({ input, output, cacheRead, cacheWrite: written, reasoning, requests });
    expect(report.total['unpricedRequests']).toBe(all.unpriced);
    expect(all.unpriced).toBeGreaterThan(10);
    expect(all.requests - all.unpriced).toBeGreaterThan(10);
    expect(report.total['costMicroUsd']).toBe(microDollars(all.cost));
  });

  it('is what the source reported where prices cannot be loaded, which its title says', async () => {
    await service.create('closed');
    await service.batch(
      'closed',
      lines([
        { type: 'user_message', text: 'count', turnId: 't1' },
        usage('m1', 'claude-haiku-4-5', { turnId: 't1', input: 1_000_000, costUsd: 0.25 }),
        { type: 'user_message', text: 'again', turnId: 't2' },
        usage('m2', 'claude-haiku-4-5', { turnId: 't2', input: 1_000_000 }),
      ]),
    );
    const tab = await Tab.open(browser, 'about:blank');
    const body = JSON.stringify({ error: 'out of prices', code: 'not_found', requestId: '1' });
    await tab.page.route('**/api/sessions/closed/usage', (route) =>
      route.fulfill({ status: 404, contentType: 'application/json', body }),
    );
    await tab.page.goto(`${service.url}/dashboard/#/session/closed/conversation`);
    await tab.page
      .getByTitle(/^Prices could not be loaded: .*out of prices/)
      .nth(1)
      .waitFor();
    const shown = tab.page.getByTitle(/^Prices could not be loaded/);
    expect(await shown.allInnerTexts()).toEqual(['$0.250', 'cost not known']);
    await service.batch('closed', lines([{ type: 'user_message', text: 'and go on', turnId: 't3' }]));
    await tab.page.locator('article', { hasText: 'and go on' }).waitFor();
    expect(await tab.page.getByRole('alert').count()).toBe(0);
    expect(await faults(tab.page)).toEqual([]);
    await tab.close();
  });
});
