// The dashboard served by another server, and sessions written by an older service.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, launch, Tab } from './chromium';
import { files } from './files';
import { Service } from './service';

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe('a page from another server', () => {
  it('connects to the service of the URL or of the setting', async () => {
    const { server, origin } = await files();
    const service = await new Service({ CORS_ALLOWED_ORIGINS: origin }).start();
    await service.create('far', 'ann');
    const tab = await Tab.open(browser, `${origin}/?api=${encodeURIComponent(service.url)}#/sessions`);
    await tab.says('1 session');
    await service.action('far', { type: 'bash_exec', command: 'hello from afar' });
    await tab.page.getByRole('link', { name: /far/ }).click();
    await tab.says('hello from afar');
    await service.action('far', { type: 'bash_exec', command: 'live from afar' });
    await tab.says('live from afar');
    await tab.close();

    const other = await Tab.open(browser, `${origin}/?api=${encodeURIComponent(service.url)}`);
    await other.says('connected');
    await other.page.getByRole('button', { name: 'connected' }).click();
    await other.page.getByLabel('URL of another service').fill(service.url);
    await other.page.getByRole('button', { name: 'Connect', exact: true }).click();
    await eventually(
      async () => other.page.url(),
      (seen) => expect(seen).not.toContain('api='),
    );
    await other.says('1 session');
    await other.close();
    server.close();
    await service.stop();
  });
});

describe('a session of the older service', () => {
  it('shows all of its records, and says where', async () => {
    const service = new Service();
    const home = join(service.directory, 'data/sessions/old');
    mkdirSync(home, { recursive: true });
    const at = '2025-03-01T10:00:00.000Z';
    const write = (name: string, value: unknown): void =>
      writeFileSync(join(home, name), JSON.stringify(value, null, 2));
    write('metadata.json', {
      $schema: 'session-metadata-v1',
      sessionId: 'old',
      userId: 'ann',
      created: at,
      updated: at,
      status: 'active',
      model: 'm',
      tokenUsage: { input: 0, output: 0, total: 0 },
      metrics: { agentsSpawned: 0, toolCalls: 3, mcpCalls: 0, filesModified: 0, bashCommands: 0 },
      tags: [],
      parentSession: null,
      subsessions: [],
    });
    write('initial.json', { $schema: 'session-initial-v1', timestamp: at, source: 'old', input: '', config: {} });
    write('state.json', {
      $schema: 'session-state-v1',
      version: 1,
      timestamp: at,
      phase: 'initialization',
      currentStep: null,
      goals: [],
      priorities: { current: null, queue: [], blocked: [] },
      expectedOutcome: null,
      agents: { spawned: [], active: [], completed: [] },
      mcp: { swarm: null, memory: { keys: [] } },
      workspace: { cwd: '/workspace', filesCreated: [], filesModified: [], gitStatus: null },
      errors: [],
    });
    // Numbers with gaps and duplicates, as the older service assigned them.
    writeFileSync(
      join(home, 'actions.jsonl'),
      [1, 2, 2, 7]
        .map((seq, n) => `${JSON.stringify({ seq, timestamp: at, type: 'tool_call', command: `old ${n}` })}\n`)
        .join(''),
    );
    await service.start();
    const tab = await Tab.open(browser, `${service.url}/dashboard/#/session/old/actions`);
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['old 0', 'old 1', 'old 2', 'old 3']),
    );
    await service.action('old', { type: 'tool_call', command: 'new' });
    await eventually(
      () => tab.records(),
      (seen) => expect(seen).toEqual(['old 0', 'old 1', 'old 2', 'old 3', 'new']),
    );
    await tab.page.getByRole('link', { name: 'conversation' }).click();
    await tab.says('An older service wrote the beginning of this session');
    await tab.page.getByRole('link', { name: 'timeline' }).click();
    await tab.says('An older service wrote the beginning of this session');
    await eventually(
      () => tab.records(),
      (seen) => expect(seen.at(-1)).toBe('new'),
    );
    await tab.close();
    await service.stop();
  });
});
