import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fields, Json } from '../../src/wire/json';
import { eventually, launch, Tab } from './chromium';
import { Service } from './service';

const SCRIPT = '<script>alert(1)</script>';
const IMAGE = '<img src=x onerror="alert(2)">';
const TURNED = '\u202egpj.exe\u202c \u2066x\u2069 עברית';

let service: Service;
let browser: Browser;

function nest(depth: number): Json {
  let value: Json = SCRIPT;
  for (let n = 0; n < depth; n += 1) value = n % 2 ? [value] : { [IMAGE]: value };
  return value;
}

beforeAll(async () => {
  [service, browser] = [await new Service().start(), await launch()];
  await service.create('hostile', SCRIPT, { initial: { source: IMAGE, config: { model: IMAGE } } });
  await service.ask('PATCH', '/api/sessions/hostile/metadata', { tags: [SCRIPT, TURNED] });
  const act = (data: Fields): Fields => ({ type: 'action', data });
  await service.batch('hostile', [
    act({ type: SCRIPT, command: IMAGE }),
    act({ type: { not: 'text' }, tool: [SCRIPT], input: 7 }),
    act({ type: TURNED, command: TURNED }),
    act({ type: 'long', content: `${'x'.repeat(1_000_000)} the end` }),
    act({ type: 'deep', input: nest(100) }),
    act({ type: 'wide', ...Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`${SCRIPT}${n}`, n])) }),
    act(JSON.parse('{"__proto__":{"polluted":true},"type":"proto"}') as Fields),
    { type: 'response', data: { type: IMAGE, content: `javascript:alert(3)\n${SCRIPT}` } },
    { type: 'goal_add', data: { id: SCRIPT, description: IMAGE, status: SCRIPT, priority: { a: 1 } } },
    { type: 'agent_spawn', data: { agentId: IMAGE, type: SCRIPT, task: TURNED } },
    {
      type: 'state_update',
      data: {
        phase: SCRIPT,
        currentStep: 'y'.repeat(200_000),
        workspace: { filesCreated: [IMAGE, { odd: 1 }], gitStatus: SCRIPT },
        [SCRIPT]: nest(60),
      },
    },
  ]);
  await service.ask('POST', '/api/sessions/hostile/finalize', { status: IMAGE, outcome: nest(50), response: SCRIPT });
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

/**
 * Worst delay of a short timer in the page, as a user would feel it. A busy machine has long delays, but not
 * in every measurement.
 */
async function lag(tab: Tab): Promise<number> {
  return tab.page.evaluate(async () => {
    let worst = 0;
    for (let n = 0; n < 10; n += 1) {
      const from = performance.now();
      await new Promise((done) => setTimeout(done, 10));
      worst = Math.max(worst, performance.now() - from - 10);
    }
    return worst;
  });
}

async function harmless(tab: Tab): Promise<void> {
  expect(await tab.page.locator('script:not([src]), img[src="x"], [onerror]').count()).toBe(0);
  expect(await tab.page.evaluate(() => Object.hasOwn(Object.prototype, 'polluted'))).toBe(false);
  await eventually(
    () => lag(tab),
    (worst) => expect(worst).toBeLessThan(100),
  );
}

describe('a hostile session', () => {
  it('is text in every view', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`);
    await tab.says(SCRIPT);
    await harmless(tab);
    for (const view of [
      'conversation',
      'timeline',
      'agents',
      'goals',
      'state',
      'actions',
      'responses',
      'files',
      'final',
    ]) {
      await tab.page.goto(`${service.url}/dashboard/#/session/hostile/${view}`);
      await tab.page.getByRole('heading', { name: 'hostile' }).waitFor();
      await eventually(
        () => tab.page.locator('main').innerText(),
        (seen) => expect(seen, view).toMatch(/<script>|<img/),
      );
      await harmless(tab);
    }
    await tab.close();
  });

  it('opens record by record and stays quick', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/hostile/actions`);
    const { page } = tab;
    await tab.says('7 records');
    const record = (kind: string) =>
      page
        .locator('.record', { has: page.locator('.kind', { hasText: kind }) })
        .locator('.head')
        .first();
    for (const kind of ['deep', 'proto', 'wide']) {
      await record(kind).click();
      await page.locator('.record .full').first().waitFor();
      await harmless(tab);
    }
    await page
      .getByRole('button', { name: /500 more of/ })
      .first()
      .click();
    await harmless(tab);
    await record('wide').click();
    await record('long').click();
    await page
      .locator('.record', { hasText: 'show all' })
      .getByRole('button', { name: /Show all 1,000,008 characters/ })
      .click();
    await page
      .getByRole('button', { name: /Show more/ })
      .first()
      .click();
    await harmless(tab);
    await page.getByLabel('Search in Actions').fill('the end');
    await tab.says('1 found');
    await tab.close();
  });

  it('is text live, too', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/live`);
    // Events from before the page was opened are shown as text as well.
    await eventually(
      () => tab.records(),
      (seen) => expect(seen.length).toBeGreaterThan(10),
    );
    await harmless(tab);
    const before = (await tab.records()).length;
    await service.action('hostile', { type: SCRIPT, command: IMAGE });
    await service.action('hostile', { type: 'long', content: 'z'.repeat(900_000) });
    await service.ask('PATCH', '/api/state/hostile', { [IMAGE]: TURNED });
    await eventually(
      () => tab.records(),
      (seen) => expect(seen.length).toBe(before + 3),
    );
    await harmless(tab);
    await tab.page.locator('.record .head').nth(2).click();
    await tab.says(IMAGE);
    await harmless(tab);
    await tab.page.goto(`${service.url}/dashboard/#/session/${encodeURIComponent(SCRIPT)}/timeline`);
    await tab.says(/session id/);
    await tab.page.goto(`${service.url}/dashboard/#/session/%E0%A4%A/timeline`);
    await tab.says(/There is no session|session id/);
    await harmless(tab);
    await tab.close();
  });
});
