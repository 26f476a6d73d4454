import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fields } from '../../src/wire/json';
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

/** Holds the first request whose method and URL match, and all that follows from it, until `release` is called. */
async function hold(page: Page, method: string, path: RegExp, isIt: (body: Fields) => boolean = () => true) {
  let release = (): void => {};
  const released = new Promise<void>((done) => (release = done));
  await page.route(path, async (route) => {
    const request = route.request();
    if (request.method() === method && isIt((request.postDataJSON() ?? {}) as Fields)) await released;
    await route.continue();
  });
  return () => release();
}

describe('the scripted run', () => {
  it('shows a newcomer every part of a session, moving', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/`);
    const { page } = tab;
    const part = (name: string) =>
      page.getByRole('navigation', { name: 'Parts of the session' }).getByRole('link', { name, exact: true });
    // The run waits for what is looked at meanwhile, however slow the machine is.
    const endAgent = await hold(page, 'POST', /agents\/historian\/complete$/);
    const endGoal = await hold(page, 'PATCH', /goals\/g3$/, ({ status }) => status === 'completed');
    await page.getByRole('button', { name: 'Create test session' }).click();
    await page.getByRole('heading', { name: /^test-/ }).waitFor();
    await tab.says('npm test -- calendar');
    await part('agents').click();
    await tab.says(/working/);
    endAgent();
    await part('goals').click();
    await tab.says('2 of 4 completed');
    await page.getByRole('region', { name: 'in_progress' }).getByRole('article').first().waitFor();
    endGoal();
    await tab.says('4 of 4 completed');
    await page.getByText('history').first().click();
    await eventually(
      () => page.locator('.history').first().innerText(),
      (seen) => expect(seen).toMatch(/in_progress[^]*completed/),
    );
    await part('final').click();
    await tab.says('success');
    await tab.says('The offset is parsed again, and a new test covers it.');
    await part('files').click();
    await tab.says('tests/offset.test.ts');
    await part('agents').click();
    await page
      .getByRole('link', { name: /explorer$/ })
      .first()
      .click();
    await tab.says('Parent session');
    await page
      .getByRole('link', { name: /^test-\w+$/ })
      .first()
      .click();
    await page.getByRole('heading', { name: /^test-\d+T\d+$/ }).waitFor();
    await part('actions').click();
    await tab.says('19 records');
    await part('responses').click();
    await tab.says('5 records');
    await tab.close();
  });

  it('records in the vocabulary: calls with results, changes, and usage with a price', async () => {
    const { sessions } = (await service.ask('GET', '/api/sessions')) as { sessions: Fields[] };
    const id = sessions.map(({ sessionId }) => String(sessionId)).find((name) => /^test-\d+T\d+$/.test(name)) ?? '';
    const { actions, responses, metadata } = (await service.ask('GET', `/api/sessions/${id}`)) as {
      actions: Fields[];
      responses: Fields[];
      metadata: Fields;
    };
    const counts: Record<string, number> = {};
    for (const { type } of [...actions, ...responses]) counts[String(type)] = (counts[String(type)] ?? 0) + 1;
    expect(counts).toEqual({
      session_started: 1,
      file_read: 1,
      bash_exec: 2,
      mcp_call: 1,
      file_edit: 1,
      file_write: 1,
      tool_result: 6,
      file_change: 2,
      usage: 3,
      checkpoint: 1,
      user_message: 1,
      thinking: 1,
      assistant_message: 3,
    });
    const ids = (type: RegExp): unknown[] =>
      actions.filter(({ type: of }) => type.test(String(of))).map(({ callId }) => callId);
    expect(ids(/^tool_result$/)).toEqual(ids(/^(file_(read|edit|write)|bash_exec|mcp_call)$/));
    expect(metadata['tokenUsage']).toMatchObject({
      requests: 3,
      input: 9370,
      output: 1230,
      cacheRead: 9000,
      costMicroUsd: 16_420,
    });
    expect(metadata['metrics']).toMatchObject({
      agentsSpawned: 2,
      toolCalls: 1,
      mcpCalls: 1,
      filesModified: 2,
      bashCommands: 2,
    });
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/${id}/conversation`);
    const article = (text: string) => tab.page.locator('article', { hasText: text }).last();
    await article('412 passed').getByText('9.3 s').waitFor();
    await article('found 02:30Z').getByText('exit 1').waitFor();
    expect(await article('412 passed').innerText()).not.toContain('collecting 1 of 2');
    await tab.page.locator('main header').getByText('$0.016', { exact: true }).waitFor();
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
    // An address that names versions that do not exist shows existing ones.
    await page.goto(`${service.url}/dashboard/#/session/versions/state?v=99&from=0`);
    await page.reload();
    await tab.says('6 of 6');
    await tab.says(/differences\s+from version 1 to 6/);
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
    await page.keyboard.type('no such text');
    await page
      .getByRole('status')
      .getByText(/^No matches$/)
      .waitFor();
    await page.getByLabel('Search in Timeline').fill('NEEDLE');
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
