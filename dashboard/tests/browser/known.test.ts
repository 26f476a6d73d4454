// Known values are shown at once, unknown ones are shown as unknown, and errors disappear when they are over.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, launch, Tab } from './chromium';
import { Service } from './service';

let service: Service;
let browser: Browser;

beforeAll(async () => {
  [service, browser] = [await new Service().start(), await launch()];
  await service.create('earlier', 'ann');
  await service.batch(
    'earlier',
    Array.from({ length: 30 }, (_, n) => ({ type: 'action', data: { type: 'tool_call', command: `line ${n}` } })),
  );
  await service.action('earlier', { type: 'tool_error', error: 'no such file' });
});
afterAll(async () => {
  await browser.close();
  await service.stop();
});

const chart = (tab: Tab): Promise<string | null> =>
  tab.page.getByRole('img', { name: /^Events per second/ }).getAttribute('aria-label');
const pill = (tab: Tab) => tab.page.getByRole('status').first();

describe('a page that was just opened', () => {
  it('shows the last events and the past of the chart, before anything new happens', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/live`);
    await eventually(
      () => tab.records(),
      (seen) => expect(seen.slice(0, 3)).toEqual(['no such file', 'line 29', 'line 28']),
    );
    await tab.says('last 32 events');
    expect(await tab.page.locator('.record.selected').count()).toBe(0);
    await eventually(
      () => chart(tab),
      (seen) => expect(seen).toMatch(/, peak [1-9]\d*$/),
    );
    expect(await tab.page.getByTestId('received').innerText()).toBe('0');
    await tab.page.goto(`${service.url}/dashboard/#/overview`);
    await tab.page.getByRole('link', { name: 'action 31' }).waitFor();
    await tab.page.getByRole('link', { name: 'ann 32' }).waitFor();
    await tab.page.locator('dl div', { hasText: 'Errors, last 32 events' }).getByText('1', { exact: true }).waitFor();
    await tab.close();
  });

  it('draws no zero that it does not know', async () => {
    const tab = await Tab.open(browser, 'about:blank');
    let answer: () => void = () => {};
    const held = new Promise<void>((done) => (answer = done));
    for (const path of ['**/api/events?*', '**/api/sessions?limit=100'])
      await tab.page.route(path, async (route) => {
        await held;
        await route.continue();
      });
    await tab.page.goto(`${service.url}/dashboard/#/live`);
    await eventually(
      () => pill(tab).innerText(),
      (seen) => expect(seen).toBe('connected'),
    );
    await tab.says('Loading the latest events…');
    expect(await chart(tab)).toMatch(/: unknown$/);
    expect(await tab.page.getByTestId('rate').innerText()).toBe('–');
    await tab.page.getByRole('link', { name: 'Overview' }).click();
    await tab.page.getByRole('link', { name: 'active now –' }).waitFor();
    await tab.page.locator('h2', { hasText: 'Sessions' }).getByText('–', { exact: true }).waitFor();
    await tab.page.locator('dl div', { hasText: 'Errors' }).getByText('–', { exact: true }).waitFor();
    answer();
    await tab.page.getByRole('link', { name: 'action 31' }).waitFor();
    await eventually(
      () => chart(tab),
      (seen) => expect(seen).not.toContain('unknown'),
    );
    await tab.close();
  });

  it('draws the chart with its data at once when the theme changes', async () => {
    const tab = await Tab.open(browser, 'about:blank');
    await tab.page.clock.install();
    await tab.page.goto(`${service.url}/dashboard/#/live`);
    await eventually(
      () => chart(tab),
      (seen) => expect(seen).not.toContain('unknown'),
    );
    // The chart gets new data once per second, which must not be needed: the time stands still.
    await tab.page.clock.pauseAt(Date.now() + 5000);
    const drawn = (): Promise<string> =>
      tab.page.locator('.chart canvas').evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    const before = await drawn();
    await tab.page.getByRole('button', { name: 'Dark theme' }).click();
    await eventually(drawn, (seen) => expect(seen === before).toBe(false));
    await tab.page.getByRole('button', { name: 'Light theme' }).click();
    await eventually(drawn, (seen) => expect(seen === before).toBe(true), 5000);
    await tab.close();
  });

  it('marks the time of a cut in the chart until it is filled', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/live`);
    await eventually(
      () => chart(tab),
      (seen) => expect(seen).not.toContain('unknown'),
    );
    await service.kill('SIGTERM');
    await eventually(
      () => chart(tab),
      (seen) => expect(seen).toMatch(/: now unknown, /),
    );
    await service.start();
    await eventually(
      () => chart(tab),
      (seen) => expect(seen).not.toContain('unknown'),
    );
    await tab.close();
  });
});

describe('a session without an end', () => {
  it('is live for as long as the figure says, then open, and its duration stands still', async () => {
    await service.create('crashed', 'bob');
    const tab = await Tab.open(browser, 'about:blank');
    await tab.page.clock.install();
    await tab.page.goto(`${service.url}/dashboard/#/session/crashed/timeline`);
    await tab.page.getByText('created').first().waitFor();
    await service.action('crashed', { type: 'bash_exec', command: 'the last' });
    await tab.says('the last');
    const status = tab.page.locator('main header .status');
    await tab.page.clock.fastForward(120_000);
    await eventually(
      () => status.innerText(),
      (seen) => expect(seen).toBe('open'),
    );
    expect(await status.getAttribute('title')).toMatch(/^no end is recorded; the last event was \d min ago$/);
    const lasted = tab.page.locator('main header dl div', { hasText: 'Until last event' }).locator('dd');
    const before = await lasted.innerText();
    await tab.page.clock.fastForward(600_000);
    await tab.says(/the last event|1\d min ago/);
    expect(await lasted.innerText()).toBe(before);
    await tab.close();
  });

  it('is live by the clock of the service, whatever the browser takes the time to be', async () => {
    const tab = await Tab.open(browser, 'about:blank');
    await tab.page.clock.setSystemTime(Date.now() + 3_600_000);
    await tab.page.goto(`${service.url}/dashboard/`);
    await eventually(
      async () => {
        await service.action('earlier', { type: 'tool_call' });
        return tab.page.locator('a.row', { hasText: 'earlier' }).locator('.status .clip').innerText();
      },
      (seen) => expect(seen).toBe('active now'),
    );
    await tab.close();
  });
});

describe('what is wrong', () => {
  it('is not said of the connection where a session is not there', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/nowhere/timeline`);
    await tab.says('There is no session');
    await eventually(
      () => pill(tab).innerText(),
      (seen) => expect(seen).toBe('connected'),
    );
    // No details are shown for an unknown session either.
    expect(await tab.page.locator('main header dl').count()).toBe(0);
    await tab.close();
  });

  it('is shown as what it is where a proxy refuses, and is not asked for again', async () => {
    for (const [status, shown] of [
      [403, 'answered 403 Forbidden: Blocked by policy'],
      [413, /answered 413 .*: Blocked by policy/],
    ] as const) {
      const tab = await Tab.open(browser, 'about:blank');
      let asked = 0;
      await tab.page.route('**/api/**', (route) => {
        asked += 1;
        return route.fulfill({ status, contentType: 'text/html', body: '<h1>Blocked</h1> by policy' });
      });
      await tab.page.clock.install();
      await tab.page.goto(`${service.url}/dashboard/`);
      await tab.page.getByRole('alert').getByText(shown).waitFor();
      const before = asked;
      await tab.page.clock.runFor(120_000);
      expect([status, asked]).toEqual([status, before]);
      // The browser itself logs an error for each 413.
      tab.problems.splice(0, Infinity, ...tab.problems.filter((problem) => !problem.includes('status of 413')));
      await tab.close();
    }
  });

  it('is asked for again, and goes when it is over', async () => {
    const tab = await Tab.open(browser, 'about:blank');
    let isAway = true;
    for (const path of ['**/api/sessions?limit=100', '**/api/events?*', '**/api/sessions/earlier?*'])
      await tab.page.route(path, (route) =>
        isAway
          ? route.fulfill({ status: 503, json: { error: 'the disk is asleep', code: 'storage_unavailable' } })
          : route.continue(),
      );
    await tab.page.goto(`${service.url}/dashboard/`);
    await eventually(
      () => pill(tab).innerText(),
      (seen) => expect(seen).toBe('connected'),
    );
    await tab.says('the disk is asleep');
    await tab.page.getByRole('link', { name: 'Live', exact: true }).click();
    await tab.says('Earlier events could not be loaded: the disk is asleep');
    await tab.page.goto(`${service.url}/dashboard/#/session/earlier/timeline`);
    await tab.says('the disk is asleep');
    isAway = false;
    await tab.says('line 29');
    await eventually(
      () => tab.page.getByText('the disk is asleep').count(),
      (seen) => expect(seen).toBe(0),
    );
    await tab.page.goto(`${service.url}/dashboard/#/sessions`);
    await tab.says('2 sessions');
    await tab.page.getByRole('link', { name: 'Live', exact: true }).click();
    await tab.says('line 29');
    expect(await tab.page.getByText('the disk is asleep').count()).toBe(0);
    // The browser itself logs an error for each 503.
    tab.problems.splice(0, Infinity, ...tab.problems.filter((problem) => !problem.includes('status of 503')));
    await tab.close();
  });
});
