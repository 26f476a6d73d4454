// The dashboard with a service that requires keys: it asks for a key, sends it only in headers, shows why it
// was refused, and can forget it.

import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { faults } from './axe';
import { eventually, launch, Tab } from './chromium';
import { files } from './files';
import { Service } from './service';

const pictures = process.env['PICTURES'] || undefined;
let service: Service;
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  service = await new Service().start();
  await service.lock();
});
afterEach(() => service.stop());

/** Opens a tab and collects every URL that it requested or connected to. */
async function open(url = `${service.url}/dashboard/`): Promise<{ tab: Tab; page: Page; addresses: string[] }> {
  const tab = await Tab.open(browser, 'about:blank');
  const addresses: string[] = [];
  tab.page.on('request', (request) => addresses.push(request.url()));
  tab.page.on('websocket', (socket) => addresses.push(socket.url()));
  await tab.page.goto(url);
  return { tab, page: tab.page, addresses };
}

const field = (page: Page) => page.getByLabel('API key or session token');

/** Types the key and submits it, using only the keyboard. */
async function give(page: Page, key: string): Promise<void> {
  await eventually(
    () => page.evaluate(() => document.activeElement?.id),
    (seen) => expect(seen).toBe('key'),
  );
  await field(page).fill('');
  await page.keyboard.insertText(key);
  await page.keyboard.press('Enter');
}

async function isGone(page: Page): Promise<void> {
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

const sockets = (addresses: string[]): string[] => addresses.filter((address) => address.startsWith('ws:'));

describe('a service that demands keys', () => {
  it('is opened with a key, by keyboard, and follows live; the key is in no address and outlives no tab', async () => {
    const key = await service.makeKey('--role', 'viewer');
    await service.create('first');
    const { tab, page, addresses } = await open();
    await tab.says('requires a key or token');
    await tab.says('needs a key');
    expect(sockets(addresses)).toEqual([]);
    await give(page, `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`);
    await tab.says('The key, token or ticket is not valid.');
    await give(page, 'two words');
    await tab.says('without spaces');
    await give(page, ` ${key} `);
    await isGone(page);
    await tab.says('1 session');
    await tab.says('connected');
    await service.create('second');
    await tab.says('2 sessions');
    await page.getByRole('link', { name: /first/ }).click();
    await service.action('first', { type: 'bash_exec', command: 'seen live' });
    await tab.says('seen live');
    await page.reload();
    await tab.says('seen live');
    expect(sockets(addresses).length).toBeGreaterThanOrEqual(3);
    expect(sockets(addresses).every((address) => /[?&]ticket=[0-9a-f]{64}/.test(address))).toBe(true);
    expect([...addresses, page.url()].filter((address) => address.includes(key))).toEqual([]);
    const kept = await page.evaluate(() => ({ local: JSON.stringify(localStorage), tab: { ...sessionStorage } }));
    expect(kept.local).not.toContain('ssk_');
    expect(kept.tab).toEqual({ [`key ${service.url}/`]: key });
    await tab.close();
  });

  it('has no more of a revoked key than the news of it, and goes on with another', async () => {
    const [key, other] = [await service.makeKey('--role', 'viewer'), await service.makeKey('--role', 'viewer')];
    await service.create('first');
    const { tab, page, addresses } = await open(`${service.url}/dashboard/#/session/first`);
    await give(page, key);
    await tab.says('connected');
    service.revoke(key);
    await tab.says('The key was revoked.');
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    await page.keyboard.press('Escape');
    await isGone(page);
    await page.getByRole('link', { name: 'Overview' }).click();
    const asked = addresses.length;
    const since = (): string[] => addresses.slice(asked);
    // The health request every few seconds serves as the clock: a request loop would show up beside it.
    await eventually(
      async () => since().filter((address) => address.endsWith('/health')).length,
      (seen) => expect(seen).toBeGreaterThan(1),
    );
    expect(since().filter((address) => /\/api\/|^ws:/.test(address))).toEqual([]);
    await page.getByRole('button', { name: 'needs a key' }).click();
    await give(page, other);
    await isGone(page);
    await tab.says('connected');
    await page.goto(`${service.url}/dashboard/#/session/first`);
    await service.action('first', { type: 'bash_exec', command: 'with the other key' });
    await tab.says('with the other key');
    await tab.close();
  });

  it('reports that a token has expired, and shows only the session of a token', async () => {
    await service.create('mine');
    await service.create('other');
    const token = service.command('token', 'issue', '--session', 'mine', '--scope', 'read', '--ttl', '6s');
    const { tab, page } = await open();
    await give(page, token);
    await isGone(page);
    await tab.says('1 session');
    await service.action('other', { type: 'bash_exec', command: 'not for this tab' });
    await service.action('mine', { type: 'bash_exec', command: 'for this tab' });
    await page.getByRole('link', { name: 'Live', exact: true }).click();
    await tab.says('for this tab');
    expect(await page.getByText('not for this tab').count()).toBe(0);
    await page.getByRole('link', { name: 'Overview' }).click();
    await tab.says('Uptime');
    expect(await page.getByRole('heading', { name: 'Storage' }).count()).toBe(0);
    expect(await page.getByText('Connections').count()).toBe(0);
    await tab.says('The key or token has expired.');
    await tab.close();
  });

  it('shows what a key may not do, and not what it may not see', async () => {
    await service.create('ann-1', 'ann');
    await service.create('bob-1', 'bob');
    const [viewer, writer] = [
      await service.makeKey('--role', 'viewer', '--user', 'ann'),
      await service.makeKey('--scope', 'append'),
    ];
    const { tab, page } = await open(`${service.url}/dashboard/#/session/bob-1`);
    await give(page, writer);
    await tab.says('The key is valid but has no read access');
    await give(page, viewer);
    await tab.says('There is no session');
    await page.getByRole('link', { name: 'All sessions' }).click();
    await tab.says('1 session');
    expect(await page.getByText('bob-1').count()).toBe(0);
    await page.getByRole('button', { name: 'Create test session' }).click();
    await tab.says('this request needs a key or token with the scope `append`');
    await tab.close();
  });

  it('is forgotten with everything it showed', async () => {
    const key = await service.makeKey('--role', 'viewer');
    await service.create('secret-plan');
    const { tab, page } = await open();
    await give(page, key);
    await tab.says('secret-plan');
    await page.getByRole('button', { name: 'connected' }).click();
    await tab.says(`key ${key.split('_')[1]}`);
    expect(await page.content()).not.toContain(key.split('_')[2]);
    await page.getByRole('button', { name: 'Forget the key' }).click();
    await tab.says('requires a key or token');
    expect(await page.getByText('secret-plan').count()).toBe(0);
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    await tab.close();
  });

  it('gets a key from a page of another origin as well, and no other service does', async () => {
    const { server, origin } = await files();
    const [far, foreign] = [
      new Service({ CORS_ALLOWED_ORIGINS: origin }),
      new Service({ CORS_ALLOWED_ORIGINS: origin }),
    ];
    await far.start();
    await far.create('far');
    await far.lock();
    const { tab, page } = await open(`${origin}/?api=${encodeURIComponent(far.url)}`);
    await tab.says(`${far.url}/`);
    await give(page, await far.makeKey('--role', 'viewer'));
    await tab.says('1 session');
    await tab.says('connected');
    await (await foreign.start()).lock();
    const shown: (string | undefined)[] = [];
    page.on('request', (request) => {
      if (request.url().startsWith(foreign.url)) shown.push(request.headers()['authorization']);
    });
    await page.goto(`${origin}/?api=${encodeURIComponent(foreign.url)}`);
    await tab.says(`${foreign.url}/`);
    await tab.says('requires a key or token');
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.filter((header) => header !== undefined)).toEqual([]);
    await tab.close();
    server.close();
    await far.stop();
    await foreign.stop();
  });
});

describe('a service without keys', () => {
  it('asks for none, until it has its first', async () => {
    const free = await new Service().start();
    await free.create('first');
    const { tab, page } = await open(`${free.url}/dashboard/`);
    await tab.says('1 session');
    await tab.says('connected');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await free.lock();
    await tab.says('requires a key or token');
    await give(page, free.key);
    await isGone(page);
    await tab.says('connected');
    await tab.close();
    await free.stop();
  });
});

describe('a service that is asked too often', () => {
  it('gets as much patience as it asks for, and its answers are shown', async () => {
    const slow = await new Service({ RATE_LIMIT_PER_KEY: '3/s' }).start();
    await slow.create('first');
    await slow.lock();
    const { tab, page } = await open(`${slow.url}/dashboard/`);
    const refused: string[] = [];
    page.on('response', (response) => {
      if (response.status() === 429) refused.push(response.url());
    });
    await give(page, slow.key);
    await tab.says('1 session');
    for (let turn = 0; turn < 4; turn += 1) {
      await page.goto(`${slow.url}/dashboard/#/session/first`);
      await page.getByRole('heading', { name: 'first' }).waitFor();
      await page.goto(`${slow.url}/dashboard/#/sessions`);
      await tab.says('1 session');
    }
    await tab.says('connected');
    expect(refused.length).toBeGreaterThan(0);
    await tab.close();
    await slow.stop();
  });
});

describe('the question', () => {
  it.each([
    ['light', 360],
    ['dark', 1440],
    ['light', 1440],
    ['dark', 3840],
  ] as const)('is without fault in the %s theme at %i pixels', async (colorScheme, width) => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`, {
      viewport: { width, height: 860 },
      colorScheme,
    });
    await tab.says('requires a key or token');
    expect(await faults(tab.page)).toEqual([]);
    await give(tab.page, 'wrong');
    await tab.says('is not valid');
    expect(await faults(tab.page)).toEqual([]);
    const wide = await tab.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(wide).toBeLessThanOrEqual(0);
    if (pictures !== undefined) {
      mkdirSync(pictures, { recursive: true });
      await tab.page.screenshot({ path: resolve(pictures, `key-${width}-${colorScheme}.png`) });
    }
    await tab.close();
  });
});
