// How the dashboard shows a session recorded by Claude Code's hooks, recorded programs, and large numbers.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fields } from '../../src/wire/json';
import { faults } from './axe';
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

/** Number of lines in the three logs of a session. */
function lines(session: string): number {
  const log = (name: string): number => {
    try {
      const file = join(service.directory, 'data/sessions', session, `${name}.jsonl`);
      return readFileSync(file, 'utf8').split('\n').length - 1;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw error;
    }
  };
  return log('actions') + log('responses') + log('changes');
}

const act = (data: Fields): Fields => ({ type: 'action', data });
const pre = (id: string, type: string, tool: string, input: Fields): Fields =>
  act({
    type,
    event: 'PreToolUse',
    tool,
    toolUseId: id,
    summary: input['command'] ?? input['file_path'] ?? '',
    payload: { hook_event_name: 'PreToolUse', tool_name: tool, tool_input: input },
  });
const post = (id: string, more: Fields): Fields =>
  act({ type: 'tool_result', event: 'PostToolUse', toolUseId: id, success: true, status: 'ok', ...more });
const batch = act({ type: 'post_tool_batch', event: 'PostToolBatch' });

/** Hook records of a short run: two parallel calls, one denied, one failed, and one still running. */
const RUN: Fields[] = [
  { type: 'state_update', data: { workspace: { cwd: '/home/ada/proj' }, claudeCode: { sessionId: 'c6f9' } } },
  act({ type: 'session_start', event: 'SessionStart', source: 'startup' }),
  { type: 'metadata_update', data: { model: 'claude-test' } },
  { type: 'response', data: { type: 'prompt', event: 'UserPromptSubmit', content: 'write the parser' } },
  pre('t1', 'bash_exec', 'Bash', { command: 'npm test' }),
  pre('t2', 'file_write', 'Write', { file_path: '/home/ada/proj/parser.ts', content: 'x' }),
  post('t2', { tool: 'Write', durationMs: 28, payload: { tool_response: { type: 'create' } } }),
  post('t1', { tool: 'Bash', durationMs: 12_400 }),
  batch,
  pre('t3', 'file_edit', 'Edit', { file_path: '/home/ada/proj/index.ts' }),
  act({ type: 'tool_error', event: 'PostToolBatch', tool: 'Edit', toolUseId: 't3', success: false, status: 'denied' }),
  batch,
  pre('t4', 'bash_exec', 'Bash', { command: 'cat nowhere' }),
  act({
    type: 'tool_error',
    event: 'PostToolUseFailure',
    tool: 'Bash',
    toolUseId: 't4',
    success: false,
    status: 'error',
    durationMs: 5,
    error: 'Exit code 1: no such file',
  }),
  { type: 'state_update', data: { errors: [{ tool: 'Bash', error: 'Exit code 1' }] } },
  batch,
  pre('t5', 'bash_exec', 'Bash', { command: 'sleep 100' }),
];

const row = (tab: Tab, text: string) => tab.page.locator('.record', { hasText: text });

describe("Claude Code's session", () => {
  it('has a row for each call with its result, and a switch that says what is folded', async () => {
    await service.create('claude');
    await service.batch('claude', RUN);
    expect(lines('claude')).toBe(RUN.length + 1);
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/claude/timeline`);
    const { page } = tab;
    await tab.says(`${RUN.length + 1} records`);
    const fold = page.getByRole('button', { name: /^Folded?/ });
    await eventually(
      () => fold.innerText(),
      (seen) => expect(seen).toBe('Folded: 4 results, 6 bookkeeping'),
    );
    await eventually(
      () => tab.records(),
      (seen) =>
        expect(seen).toEqual([
          'by ann',
          'source: startup',
          'write the parser',
          'Bash npm test',
          'Write /home/ada/proj/parser.ts',
          'Edit /home/ada/proj/index.ts',
          'Bash cat nowhere',
          'Bash sleep 100',
        ]),
    );
    expect(await row(tab, 'npm test').locator('.end').innerText()).toBe('ok · 12.4 s');
    expect(await row(tab, 'parser.ts').locator('.end').innerText()).toBe('ok · 28 ms');
    expect(await row(tab, 'index.ts').locator('.end').innerText()).toMatch(/^denied/);
    expect(await row(tab, 'cat nowhere').locator('.end').innerText()).toBe('error · 5 ms');
    expect(await row(tab, 'cat nowhere').getAttribute('class')).toContain('error');
    expect(await row(tab, 'sleep 100').locator('.end').innerText()).toBe('no result yet');
    expect(await faults(page)).toEqual([]);
    // The result arrives and is shown with its call.
    await service.batch('claude', [post('t5', { tool: 'Bash', durationMs: 100_000 })]);
    await eventually(
      () => row(tab, 'sleep 100').locator('.end').innerText(),
      (seen) => expect(seen).toBe('ok · 1 min 40 s'),
    );
    await tab.says(`${lines('claude')} records`);
    expect((await tab.records()).length).toBe(8);
    // An opened row shows the call and the result; a search also finds text that is only in the result.
    await row(tab, 'cat nowhere').locator('.head').click();
    await row(tab, 'cat nowhere').getByRole('heading', { name: 'Result #15' }).waitFor();
    await row(tab, 'cat nowhere').getByText('Exit code 1: no such file').waitFor();
    await page.getByLabel('Search in Timeline').fill('no such file');
    await tab.says('1 found');
    await page.keyboard.press('Enter');
    await page.locator('.record.selected.found', { hasText: 'cat nowhere' }).waitFor();
    await page.getByLabel('Search in Timeline').fill('');
    await fold.click();
    await eventually(
      () => page.locator('.record').count(),
      (seen) => expect(seen).toBe(lines('claude')),
    );
    await page.reload();
    await eventually(
      () => page.locator('.record').count(),
      (seen) => expect(seen).toBe(lines('claude')),
    );
    await tab.close();
  });

  it('names the files that were written, and no tokens that were not recorded', async () => {
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/claude/files`);
    await tab.page
      .locator('li', { hasText: '/home/ada/proj/parser.ts' })
      .getByText(/^created ·/)
      .waitFor();
    await tab.page
      .locator('li', { hasText: '/home/ada/proj/index.ts' })
      .getByText(/^1 failed ·/)
      .waitFor();
    const tokens = tab.page.locator('main header dl div', { hasText: 'Tokens' }).locator('dd');
    expect(await tokens.innerText()).toBe('–');
    expect(await tokens.getAttribute('title')).toContain('unknown');
    await service.ask('PATCH', '/api/sessions/claude/metadata', { 'tokenUsage.input': 1200, 'tokenUsage.output': 34 });
    await eventually(
      () => tokens.innerText(),
      (seen) => expect(seen).toBe('1,200 / 34'),
    );
    await tab.close();
  });

  it('is distinguished from the others by its outcome', async () => {
    const list = await Tab.open(browser, `${service.url}/dashboard/`);
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/program/timeline`);
    await list.says('1 session');
    await service.create('program');
    await service.create('well');
    await list.says('3 sessions');
    await service.ask('POST', '/api/actions/program/responses', { type: 'exit', exitCode: 3, durationMs: 1200 });
    await service.ask('POST', '/api/sessions/program/finalize', { status: 'error', outcome: { exitCode: 3 } });
    await service.ask('POST', '/api/sessions/well/finalize', { status: 'success' });
    await service.ask('POST', '/api/sessions/claude/finalize', { status: 'interrupted' });
    const status = (id: string) => list.page.locator('a.row', { hasText: id }).locator('.status .clip');
    for (const [id, told] of [
      ['program', 'error'],
      ['well', 'success'],
      ['claude', 'interrupted'],
    ] as const)
      await eventually(
        () => status(id).innerText(),
        (seen) => expect(seen).toBe(told),
      );
    await list.page.getByLabel('Filter by outcome').selectOption('error');
    await list.says('1 of 3 sessions');
    expect(list.page.url()).toContain('outcome=error');
    await list.page.getByRole('link', { name: 'Overview' }).click();
    await list.page.getByRole('link', { name: 'error 1' }).waitFor();
    await list.page.getByRole('link', { name: 'interrupted 1' }).waitFor();
    await list.close();
    // The header is fetched again, and shows the outcome even where the service's rows do not contain it.
    await tab.page.reload();
    const header = tab.page.locator('main header').first();
    await header.getByText('exit 3').waitFor();
    expect(await header.getAttribute('class')).toContain('error');
    expect(await header.locator('.status').innerText()).toBe('error');
    await row(tab, 'exit 3 in 1.2 s').waitFor();
    expect(await faults(tab.page)).toEqual([]);
    expect(await row(tab, 'exit 3 in 1.2 s').getAttribute('class')).toContain('error');
    await tab.page.goto(`${service.url}/dashboard/#/session/claude/timeline`);
    await eventually(
      () => header.locator('.status').innerText(),
      (seen) => expect(seen).toBe('interrupted'),
    );
    await tab.close();
  });
});

describe('times and numbers', () => {
  it('of several days have their dates', async () => {
    await service.create('days');
    for (const [n, day] of ['2026-01-30', '2026-01-30', '2026-01-31', '2026-02-02'].entries())
      await service.action('days', { type: 'note', content: `note ${n}`, timestamp: `${day}T12:00:00.000Z` });
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/days/actions`, { locale: 'en-GB' });
    await eventually(
      () => tab.page.locator('.record .date').allInnerTexts(),
      (seen) => expect(seen.map((text) => text.slice(0, 6).trim())).toEqual(['30 Jan', '30 Jan', '31 Jan', '2 Feb']),
    );
    expect(await tab.page.locator('.record.day .text').allInnerTexts()).toEqual(['note 0', 'note 2', 'note 3']);
    expect(await tab.page.locator('.record time').last().getAttribute('title')).toMatch(
      /^2 Feb 2026, 13:00:00\n2026-02-02 12:00:00.000 UTC$/,
    );
    await tab.page.goto(`${service.url}/dashboard/#/live`);
    await row(tab, 'note 3').locator('.date').waitFor();
    await tab.close();
  });

  it('have every digit that was sent', async () => {
    await service.create('digits');
    const send = await fetch(`${service.url}/api/actions/digits`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"type":"note","id":9007199254740993,"long":12345678901234567890123,"huge":1e300,"part":0.1}',
    });
    expect(send.ok).toBe(true);
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/digits/timeline`);
    await row(tab, '9007199254740993').locator('.head').click();
    const numbers = tab.page.locator('.record .full .number');
    await eventually(
      () => numbers.allInnerTexts(),
      (seen) =>
        expect(seen).toEqual(expect.arrayContaining(['9007199254740993', '12345678901234567890123', '1e+300', '0.1'])),
    );
    await tab.page.getByRole('button', { name: 'copy JSON' }).click();
    const copied = await tab.page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toContain('"id": 9007199254740993,');
    await tab.page.getByLabel('Search in Timeline').fill('9007199254740993');
    await tab.says('1 found');
    await tab.close();
  });
});

describe('a service without a session', () => {
  it('shows how a first one is recorded, and that works as it stands there', async () => {
    const empty = await new Service().start();
    const tab = await Tab.open(browser, `${empty.url}/dashboard/`);
    const { page } = tab;
    await page.getByRole('heading', { name: 'No sessions yet: record the first one' }).waitFor();
    const shown = page.locator('pre');
    expect(await shown.innerText()).toContain('hook-agent install claude-code');
    for (const name of ['Claude Code', 'Any program', 'Python', 'Node.js', 'Rust', 'curl']) {
      await page.getByRole('button', { name, exact: true }).click();
      expect(await page.locator('.first').innerText(), name).toContain(empty.url);
    }
    expect(await faults(page)).toEqual([]);
    const commands = await shown.innerText();
    const said = execFileSync('bash', ['-euc', commands], { encoding: 'utf8' });
    expect(said.match(/"success":true/g)?.length).toBe(4);
    await tab.says('1 session');
    await page.locator('a.row', { hasText: 'first-curl' }).click();
    await eventually(
      () => page.locator('article', { hasText: 'ls' }).locator('.call .end').first().innerText(),
      (seen) => expect(seen).toMatch(/^ok/),
    );
    await tab.close();
    await empty.stop();
  });
});
