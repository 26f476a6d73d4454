import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, launch, Tab } from './chromium';
import { Service } from './service';

let service: Service;
let browser: Browser;

beforeAll(async () => {
  [service, browser] = [await new Service().start(), await launch()];
  for (let n = 0; n < 40; n += 1)
    await service.create(`run-${String(n).padStart(2, '0')}`, n % 2 ? 'ann' : 'bob', {
      initial: { config: { model: n % 3 ? 'm-small' : 'm-large' } },
    });
  await service.ask('PATCH', '/api/sessions/run-07/metadata', { tags: ['nightly'], 'tokenUsage.total': 12_345 });
  await service.ask('POST', '/api/sessions/run-08/finalize', { status: 'success' });
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

const ids = (tab: Tab): Promise<string[]> => tab.page.locator('a.row .id .mono').allInnerTexts();

describe('the list of sessions', () => {
  it('searches, filters and sorts, and the address keeps it', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`);
    await tab.says('40 sessions');
    await tab.page.getByLabel('Search sessions').fill('ann m-large');
    await tab.says('7 of 40 sessions');
    await tab.page.getByLabel('Search sessions').fill('');
    await tab.page.getByLabel('Filter by tag').selectOption('nightly');
    await tab.says('1 of 40 sessions');
    expect(await ids(tab)).toEqual(['run-07']);
    await tab.page.reload();
    await tab.says('1 of 40 sessions');
    await tab.page.getByLabel('Filter by tag').selectOption('');
    await tab.page.getByLabel('Filter by status').selectOption('completed');
    await eventually(
      () => ids(tab),
      (seen) => expect(seen).toEqual(['run-08']),
    );
    await tab.page.getByLabel('Filter by status').selectOption('');
    await tab.page.getByLabel('Filter by user').selectOption('bob');
    await tab.page.getByRole('button', { name: /^Session/ }).click();
    await eventually(
      () => ids(tab),
      (seen) => expect(seen.slice(0, 3)).toEqual(['run-00', 'run-02', 'run-04']),
    );
    await tab.page.getByRole('button', { name: /^Session/ }).click();
    await eventually(
      () => ids(tab),
      (seen) => expect(seen[0]).toBe('run-38'),
    );
    expect(tab.page.url()).toContain('user=bob');
    await tab.close();
  });

  it('is used with the keyboard alone', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/sessions?sort=id`);
    const { page } = tab;
    await tab.says('40 sessions');
    for (const key of ['j', 'j', 'j', 'k', 'ArrowDown']) await page.keyboard.press(key);
    await eventually(
      () => page.locator('a.row.selected .id .mono').innerText(),
      (seen) => expect(seen).toBe('run-02'),
    );
    await page.keyboard.press('End');
    await eventually(
      () => page.locator('a.row.selected .id .mono').innerText(),
      (seen) => expect(seen).toBe('run-39'),
    );
    await page.keyboard.press('/');
    await page.keyboard.type('run-07');
    await tab.says('1 of 40 sessions');
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'run-07' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await tab.says('next prompt');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.keyboard.press(']');
    await page.waitForURL(/run-07\/timeline/);
    await page.goBack();
    await page.goBack();
    await tab.says('1 of 40 sessions');
    await page.keyboard.press('Escape');
    await tab.says('40 sessions');
    await page.keyboard.press('2');
    await page.waitForURL(/#\/live/);
    await tab.close();
  });

  it('follows what happens', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`);
    await tab.says('40 sessions');
    await service.create('newcomer', 'cat');
    await tab.says('41 sessions');
    await service.action('run-00', { type: 'bash_exec', command: 'ls' });
    await eventually(
      () => ids(tab),
      (seen) => expect(seen[0]).toBe('run-00'),
    );
    await tab.page.locator('a.row', { hasText: 'run-00' }).getByText('active now').waitFor();
    await tab.page.locator('a.row', { hasText: 'run-00' }).getByRole('img', { name: '1 shell' }).waitFor();
    await service.ask('DELETE', '/api/sessions/newcomer');
    await tab.says('40 sessions');
    await tab.close();
  });

  it('shows the viewer their time and the exact moment in UTC on hover', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/run-07/timeline`, {
      timezoneId: 'Asia/Tokyo',
    });
    const time = tab.page.locator('.record time').first();
    const at = new Date((await time.getAttribute('datetime')) ?? '');
    const title = (await time.getAttribute('title')) ?? '';
    expect(title).toContain(`${at.toISOString().replace('T', ' ').replace('Z', '')} UTC`);
    expect(title).toContain(String(at.getUTCFullYear()));
    const tokyo = at.toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo' });
    expect(await time.innerText()).toContain(tokyo);
    await tab.close();
  });
});
