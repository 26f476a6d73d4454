import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, launch, Tab } from './chromium';
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

describe('the scripted run', () => {
  it('shows a newcomer every part of a session, moving', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`);
    const { page } = tab;
    const part = (name: string) =>
      page.getByRole('navigation', { name: 'Parts of the session' }).getByRole('link', { name, exact: true });
    await page.getByRole('button', { name: 'Create test session' }).click();
    await page.getByRole('heading', { name: /^test-/ }).waitFor();
    await tab.says('npm test -- calendar');
    await part('agents').click();
    await tab.says(/working/);
    await part('goals').click();
    await page.getByRole('region', { name: 'in_progress' }).getByRole('article').first().waitFor();
    await tab.says(/^1 of 4 completed|^2 of 4 completed/);
    await eventually(
      () => page.getByText('4 of 4 completed').count(),
      (seen) => expect(seen).toBe(1),
      20_000,
    );
    await page.getByText('history').first().click();
    await eventually(
      () => page.locator('.history').first().innerText(),
      (seen) => expect(seen).toMatch(/in_progress[^]*completed/),
    );
    await part('final').click();
    await tab.says('success');
    await tab.says('The offset is read again, and a test keeps it so.');
    await part('files').click();
    await tab.says('tests/offset.test.ts');
    await part('agents').click();
    await page
      .getByRole('link', { name: /explorer$/ })
      .first()
      .click();
    await tab.says('part of');
    await page
      .getByRole('link', { name: /^test-\w+$/ })
      .first()
      .click();
    await page.getByRole('heading', { name: /^test-\d+T\d+$/ }).waitFor();
    await part('actions').click();
    await tab.says('8 records');
    await part('responses').click();
    await tab.says('4 records');
    await tab.close();
  });

  it('shows the state at any version, and what changed', async () => {
    await service.create('versions');
    for (const phase of ['one', 'two', 'three', 'four'])
      await service.ask('PATCH', '/api/state/versions', { phase, [`only${phase}`]: phase });
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/versions/state`);
    const { page } = tab;
    await tab.says('5 of 5');
    await page.getByRole('slider').fill('2');
    await tab.says('2 of 5');
    await tab.says('onlyone');
    await eventually(
      () => page.getByText('onlytwo').count(),
      (seen) => expect(seen).toBe(0),
    );
    await page.getByLabel('compare with', { exact: true }).check();
    await page.getByLabel('Version to compare with').fill('4');
    await page.keyboard.press('Enter');
    await tab.says(/differences\s+from version 4 to 2/);
    expect(await page.locator('li.removed .path').allInnerTexts()).toEqual(
      expect.arrayContaining([expect.stringContaining('onlythree')]),
    );
    await page.reload();
    await tab.says(/differences\s+from version 4 to 2/);
    await page.getByRole('button', { name: 'newest' }).click();
    await service.ask('PATCH', '/api/state/versions', { phase: 'five' });
    await tab.says('6 of 6');
    await tab.close();
  });

  it('finds, filters and opens records', async () => {
    await service.create('search');
    await service.batch(
      'search',
      Array.from({ length: 3000 }, (_, n) =>
        n % 500 === 0
          ? { type: 'goal_add', data: { description: `goal ${n}` } }
          : { type: 'action', data: { type: 'tool_call', command: n === 1234 ? 'a needle here' : `step ${n}` } },
      ),
    );
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/search/timeline`);
    const { page } = tab;
    await tab.says('3,001 records');
    await tab.says('step 2999');
    await page.keyboard.press('/');
    await page.keyboard.type('NEEDLE');
    await tab.says('1 found');
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await tab.says('1 of 1 found');
    await page.locator('.record.selected.found', { hasText: 'a needle here' }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.full', { hasText: 'offset' }).waitFor();
    await page.getByRole('button', { name: 'copy JSON' }).click();
    expect(JSON.parse(await page.evaluate(() => navigator.clipboard.readText()))).toMatchObject({
      type: 'action',
      data: { command: 'a needle here' },
    });
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'goal', exact: true }).click();
    await eventually(
      () => tab.records(),
      (seen) =>
        expect(seen.map((text) => /goal \d+$/.exec(text)?.[0])).toEqual(
          [0, 500, 1000, 1500, 2000, 2500].map((n) => `goal ${n}`),
        ),
    );
    expect(page.url()).toContain('types=goal');
    await page.reload();
    await eventually(
      () => tab.records(),
      (seen) => expect(seen.length).toBe(6),
    );
    await tab.close();
  });

  it('stays where one reads, and says how much is new', async () => {
    await service.create('reading');
    await service.batch(
      'reading',
      Array.from({ length: 500 }, (_, n) => ({ type: 'action', data: { type: 'tool_call', command: `line ${n}` } })),
    );
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/reading/timeline`);
    await tab.says('line 499');
    await tab.page.mouse.move(700, 600);
    await tab.page.mouse.wheel(0, -2000);
    await eventually(
      () => tab.records(),
      (seen) => expect(seen.at(-1)).not.toContain('line 499'),
    );
    const before = await tab.stillRecords();
    for (let n = 500; n < 520; n += 1) await service.action('reading', { type: 'tool_call', command: `line ${n}` });
    await tab.page.getByRole('button', { name: '20 new ↓' }).waitFor();
    expect(await tab.records()).toEqual(before);
    await tab.page.getByRole('button', { name: '20 new ↓' }).click();
    await tab.says('line 519');
    await service.action('reading', { type: 'tool_call', command: 'line 520' });
    await tab.says('line 520');
    await tab.close();
  });
});
