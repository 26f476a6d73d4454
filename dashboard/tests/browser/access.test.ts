// Axe finds no fault in any view, in both themes, at three widths. If PICTURES names a folder, screenshots
// are saved there.

import { mkdirSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faults } from './axe';
import { eventually, launch, Tab } from './chromium';
import { fleet, scatter } from './fleet';
import { Service } from './service';

const pictures = process.env['PICTURES'] || undefined;
const WIDTHS = [360, 1440, 3840];

let service: Service;
let browser: Browser;
let session: string;

beforeAll(async () => {
  [service, browser] = [await new Service().start(), await launch()];
  await fleet(service);
  const tab = await Tab.open(browser, `${service.url}/dashboard/`);
  await tab.page.getByRole('button', { name: 'Create test session' }).click();
  await tab.page.getByRole('heading', { name: /^test-/ }).waitFor();
  session = await tab.page.locator('h1').innerText();
  await eventually(
    () => tab.page.getByText('status: success').count(),
    (seen) => expect(seen).toBe(1),
    30_000,
  );
  await tab.close();
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

const VIEWS = [
  'sessions',
  'live',
  'overview',
  'conversation',
  'timeline',
  'agents',
  'goals',
  'state',
  'actions',
  'responses',
  'files',
  'final',
  'record',
  'difference',
  'help',
];

async function show(tab: Tab, view: string): Promise<void> {
  const { page } = tab;
  const base = `${service.url}/dashboard/`;
  if (['sessions', 'live', 'overview'].includes(view)) await page.goto(`${base}#/${view}`);
  else if (view === 'help') await page.goto(`${base}#/sessions`);
  else
    await page.goto(
      `${base}#/session/${session}/${view === 'record' ? 'timeline' : view === 'difference' ? 'state?v=20&from=8' : view}`,
    );
  await page
    .getByRole('status')
    .filter({ hasText: /^connected$/ })
    .waitFor();
  if (view === 'record') {
    await page.locator('.record .head', { hasText: 'file_write' }).click();
    await page.locator('.full').waitFor();
  }
  if (view === 'help') {
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
  }
  if (view === 'live') await fleetMoves(page);
  await page.waitForTimeout(250);
  // On a busy machine, fade-in animations may take longer.
  await page.evaluate(async () => {
    const ending = document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(ending.map(({ finished }) => finished));
  });
}

async function fleetMoves(page: Page): Promise<void> {
  await scatter(service, 60);
  await eventually(
    () => page.locator('.record').count(),
    (seen) => expect(seen).toBeGreaterThan(5),
  );
}

describe.each(['light', 'dark'] as const)('in the %s theme', (colorScheme) => {
  it.each(WIDTHS)('every view is without fault at %i pixels', { timeout: 600_000 }, async (width) => {
    const height = width === 360 ? 740 : width === 1440 ? 860 : 2160;
    const tab = await Tab.open(browser, `${service.url}/dashboard/`, { viewport: { width, height }, colorScheme });
    if (pictures !== undefined) mkdirSync(pictures, { recursive: true });
    const found: string[] = [];
    for (const view of VIEWS) {
      await show(tab, view);
      found.push(...(await faults(tab.page)).map((fault) => `${view}: ${fault}`));
      const wide = await tab.page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (wide > 0) found.push(`${view}: scrolls ${wide} pixels sideways`);
      if (pictures !== undefined) {
        await tab.page.screenshot({ path: `${pictures}/${view}-${width}-${colorScheme}.png` });
      }
      if (view === 'help') await tab.page.keyboard.press('Escape');
    }
    expect(found).toEqual([]);
    await tab.close();
  });
});

describe('the theme', () => {
  it('follows the system until one is chosen, and is remembered', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`, { colorScheme: 'dark' });
    const paper = (): Promise<string> => tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await paper();
    await tab.page.emulateMedia({ colorScheme: 'light' });
    const light = await paper();
    expect(light).not.toBe(dark);
    await tab.page.getByRole('button', { name: 'Dark theme' }).click();
    expect(await paper()).toBe(dark);
    await tab.page.reload();
    await tab.says('connected');
    expect(await paper()).toBe(dark);
    await tab.page.getByRole('button', { name: 'Light theme' }).click();
    expect(await paper()).toBe(light);
    await tab.close();
  });
});
