// What a session used and cost, as the service computes it: in the header, by model, and for each turn.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fields } from '../../src/wire/json';
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
