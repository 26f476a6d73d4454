import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, launch, Tab } from './chromium';
import { Proxy } from './proxy';
import { Service } from './service';

let service: Service;
let proxy: Proxy;
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  service = await new Service().start();
  proxy = await new Proxy(() => service.port).start();
});
afterEach(async () => {
  proxy.stop();
  await service.stop();
});

const pill = (tab: Tab) => tab.page.getByRole('status').first();
const numbered = async (tab: Tab): Promise<number[]> =>
  (await tab.records()).map((text) => Number(/line (\d+)/.exec(text)?.[1] ?? NaN)).filter(Number.isFinite);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);

async function lines(session: string, from: number, to: number): Promise<void> {
  await service.batch(
    session,
    range(from, to).map((n) => ({ type: 'action', data: { type: 'tool_call', command: `line ${n}` } })),
  );
}

describe('the live feed', () => {
  it('shows every event of every session, filtered as one likes, and stands still when asked', async () => {
    await service.create('one', 'ann');
    await service.create('two', 'bob');
    const tab = await Tab.open(browser, `${proxy.url}/dashboard/#/live`);
    const { page } = tab;
    await tab.says('connected');
    await service.action('one', { type: 'bash_exec', command: 'from one' });
    await service.ask('PATCH', '/api/state/two', { phase: 'from two' });
    await service.ask('POST', '/api/actions/two/responses', { type: 'message', content: 'answer of two' });
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['answer of two', 'v2 · phase: from two', 'from one', 'by bob', 'by ann']),
    );
    await page.getByLabel('Filter by user').selectOption('bob');
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['answer of two', 'v2 · phase: from two', 'by bob']),
    );
    await page.getByLabel('Filter by type').selectOption('state');
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['v2 · phase: from two']),
    );
    await page.reload();
    await tab.says('connected');
    await service.ask('PATCH', '/api/state/two', { phase: 'again' });
    await service.action('two', { type: 'bash_exec', command: 'not wanted' });
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['v3 · phase: again', 'v2 · phase: from two']),
    );
    await page.getByLabel('Filter by user').selectOption('');
    await page.getByLabel('Filter by type').selectOption('');
    await page.getByLabel('Filter by session').fill('one');
    await service.action('one', { type: 'bash_exec', command: 'wanted' });
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['wanted', 'from one', 'by ann']),
    );
    await page.getByLabel('Filter by session').fill('');
    await page.getByRole('button', { name: 'Pause' }).click();
    const still = await tab.records();
    await lines('one', 0, 7);
    await page.getByRole('button', { name: '7 new ↑' }).waitFor();
    expect(await tab.records()).toEqual(still);
    await page.getByRole('button', { name: 'Resume' }).click();
    await eventually(
      () => numbered(tab),
      (seen) => expect(seen).toEqual(range(0, 7).reverse()),
    );
    await tab.close();
  });

  it('resumes after a cut without a line lost or doubled', async () => {
    await service.create('s');
    const feed = await Tab.open(browser, `${proxy.url}/dashboard/#/live`);
    const session = await Tab.open(browser, `${proxy.url}/dashboard/#/session/s/timeline`);
    await Promise.all([feed.says('connected'), session.says('created')]);
    await eventually(
      () => service.ask('GET', '/health'),
      (seen) => expect(seen['websocket']).toMatchObject({ totalConnections: 3 }),
    );
    for (let round = 0; round < 3; round += 1) {
      await lines('s', round * 6, round * 6 + 3);
      proxy.cut();
      await lines('s', round * 6 + 3, round * 6 + 6);
      await eventually(
        () => pill(feed).innerText(),
        (seen) => expect(seen).toBe('reconnecting'),
      );
      await feed.says(/^ [1-9] s$/);
      proxy.mend();
      await eventually(
        () => numbered(feed),
        (seen) => expect(seen).toEqual(range(0, round * 6 + 6).reverse()),
        20_000,
      );
      await eventually(
        () => numbered(session),
        (seen) => expect(seen).toEqual(range(0, round * 6 + 6)),
        20_000,
      );
      await eventually(
        () => pill(feed).innerText(),
        (seen) => expect(seen).toBe('connected'),
      );
    }
    expect(await feed.page.getByTestId('received').innerText()).toBe('18');
    expect(await session.page.getByText(/gap/i).count()).toBe(0);
    await feed.close();
    await session.close();
  });

  it('says that it is stale, and for how long, until the service is back', async () => {
    await service.create('s');
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/s/timeline`);
    await tab.says('created');
    await lines('s', 0, 3);
    await tab.says('line 2');
    await service.kill('SIGKILL');
    await eventually(
      () => pill(tab).innerText(),
      (seen) => expect(seen).toBe('reconnecting'),
    );
    await eventually(
      () => pill(tab).innerText(),
      (seen) => expect(seen).toBe('stale'),
      20_000,
    );
    await tab.says(/^ 1\d s$/);
    expect(await numbered(tab)).toEqual([0, 1, 2]);
    await service.start();
    await lines('s', 3, 6);
    await eventually(
      () => numbered(tab),
      (seen) => expect(seen).toEqual(range(0, 6)),
      20_000,
    );
    await eventually(
      () => pill(tab).innerText(),
      (seen) => expect(seen).toBe('connected'),
      20_000,
    );
    await tab.page.goto(`${service.url}/dashboard/#/sessions`);
    await tab.says('1 session');
    await tab.close();
  });

  it('reports a gap for events that are no longer retained', async () => {
    await service.create('s');
    await lines('s', 0, 5);
    const feed = await Tab.open(browser, `${service.url}/dashboard/#/live`);
    const session = await Tab.open(browser, `${service.url}/dashboard/#/session/s/timeline`);
    await service.create('edits');
    await service.action('edits', { type: 'file_edit', path: 'before.ts' });
    const edits = await Tab.open(browser, `${service.url}/dashboard/#/session/edits/files`);
    await edits.says('before.ts');
    await session.says('line 4');
    await lines('s', 5, 7);
    await eventually(
      () => numbered(feed),
      (seen) => expect(seen).toEqual(range(0, 7).reverse()),
    );
    await service.kill('SIGTERM');
    service.forget();
    await service.start();
    await service.create('s', 'other');
    await lines('s', 100, 102);
    await eventually(
      () => feed.page.getByText(/^Gap: events from \d+ to \d+/).count(),
      (seen) => expect(seen).toBe(1),
      20_000,
    );
    await session.says('Gap.');
    await eventually(
      () => numbered(session),
      (seen) => expect(seen).toEqual([100, 101]),
      20_000,
    );
    await session.says('other');
    await service.create('edits');
    await service.action('edits', { type: 'file_edit', path: 'after.ts' });
    await edits.says('after.ts');
    expect(await edits.page.getByText('before.ts').count()).toBe(0);
    await edits.close();
    await lines('s', 102, 103);
    await session.says('line 102');
    await session.page.getByRole('button', { name: 'dismiss' }).click();
    await eventually(
      () => session.page.getByText('Gap.').count(),
      (seen) => expect(seen).toBe(0),
    );
    await feed.close();
    await session.close();
  });

  it('is the same in two browsers', async () => {
    const second = await launch();
    await service.create('s');
    const tabs = [
      await Tab.open(browser, `${service.url}/dashboard/#/live`),
      await Tab.open(second, `${service.url}/dashboard/#/live`, { colorScheme: 'dark' }),
    ];
    for (const tab of tabs) await tab.says('connected');
    await eventually(
      () => service.ask('GET', '/health'),
      (seen) => expect(seen['websocket']).toMatchObject({ totalConnections: 2 }),
    );
    await lines('s', 0, 12);
    for (const tab of tabs)
      await eventually(
        () => numbered(tab),
        (seen) => expect(seen).toEqual(range(0, 12).reverse()),
      );
    for (const tab of tabs) await tab.close();
    await second.close();
  });
});

describe('the overview', () => {
  it('says how the service is and what happens', async () => {
    await service.create('s', 'ann');
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/overview`);
    await tab.says('Events stored');
    await tab.says('connected');
    // The users of the events are known once the sessions are loaded.
    await tab.page.locator('a[href="#/sessions?status=active"]').filter({ hasText: '1' }).first().waitFor();
    await lines('s', 0, 9);
    await service.action('s', { type: 'tool_error', error: 'x' });
    await tab.page.getByRole('link', { name: 'action 10' }).waitFor();
    await tab.page.getByRole('link', { name: 'ann 11' }).waitFor();
    // A session is no longer live ten seconds after its last event, and on a busy machine they may be over.
    await eventually(
      async () => {
        await service.action('s', { type: 'tool_call' });
        return tab.page.getByRole('link', { name: 'active now 1' }).count();
      },
      (seen) => expect(seen).toBe(1),
    );
    // The first is counted from the page's events, the second from the sessions' own error counts.
    for (const figure of ['Errors, last', 'Errors, all sessions']) {
      await eventually(
        () => tab.page.locator('dl div', { hasText: figure }).innerText(),
        (seen) => expect(seen).toContain('1'),
      );
    }
    await eventually(
      () => tab.page.locator('dl div', { hasText: 'Connections' }).innerText(),
      (seen) => expect(seen).toMatch(/\n?1,/),
    );
    await tab.page.getByRole('link', { name: /^action \d/ }).click();
    await tab.page.waitForURL(/live\?type=action/);
    await tab.close();
  });
});
