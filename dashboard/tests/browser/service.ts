// Runs the real service on a free port with its own directory.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Fields } from '../../src/wire/json';

const root = resolve(import.meta.dirname, '../../..');
const dist = resolve(import.meta.dirname, '../../dist');

function binary(): string {
  const path =
    process.env['SESSION_STORAGE_BIN'] ??
    join(process.env['CARGO_TARGET_DIR'] ?? join(root, 'target'), 'release/session-storage');
  if (!existsSync(path)) throw new Error(`${path} is not there: build the service, or set SESSION_STORAGE_BIN`);
  if (!existsSync(join(dist, 'index.html'))) throw new Error('dist/ is not there: npm run build');
  return path;
}

export class Service {
  readonly directory = mkdtempSync(join(tmpdir(), 'dashboard-'));
  port = 0;
  /** The key that the test itself sends, once the service requires keys. */
  key = '';
  #process: ChildProcess | null = null;
  #log = '';

  constructor(private readonly env: Record<string, string> = {}) {}

  /** Starts the service; a restart uses the port of the first start. */
  async start(): Promise<this> {
    const env = {
      ...process.env,
      PORT: String(this.port),
      HOST: '127.0.0.1',
      STORAGE_PATH: join(this.directory, 'data'),
      DASHBOARD_PATH: dist,
      RUST_LOG: 'warn',
      ...this.env,
    };
    const child = spawn(binary(), [], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    child.stderr.on('data', (text) => (this.#log += String(text)));
    this.port = await new Promise<number>((done, fail) => {
      child.stdout.on('data', (text) => {
        const found = /listening on http:\/\/[^:]+:(\d+)/.exec(String(text));
        if (found) done(Number(found[1]));
      });
      child.on('exit', () => fail(new Error(`the service ended: ${this.#log}`)));
    });
    return this;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((done) => child.removeAllListeners('exit').on('exit', done));
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Runs a command of the service on its directory, running or not; returns the output. */
  command(...words: string[]): string {
    const env = { ...process.env, STORAGE_PATH: join(this.directory, 'data'), PORT: '0' };
    return execFileSync(binary(), words, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  /** Creates a key and waits until the service accepts it. */
  async makeKey(...rights: string[]): Promise<string> {
    const key = this.command('key', 'create', '--name', 'test', ...rights);
    await this.#until(async () => {
      const response = await fetch(`${this.url}/api/sessions/no-such`, { headers: bearer(key) });
      return this.key === '' || response.status !== 401;
    });
    return key;
  }

  /** Creates the first key, which may do everything: from now on the service requires a key. */
  async lock(): Promise<this> {
    this.key = this.command('key', 'create', '--name', 'operator', '--role', 'admin');
    await this.#until(async () => (await fetch(`${this.url}/api/sessions`)).status === 401);
    return this;
  }

  revoke(key: string): void {
    this.command('key', 'revoke', key.split('_')[1] ?? '');
  }

  async #until(holds: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 60_000;
    while (!(await holds())) {
      if (Date.now() > end) throw new Error('the service did not take note of its keys');
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  #shown(): Record<string, string> {
    return this.key === '' ? {} : bearer(this.key);
  }

  /** Deletes all stored data. */
  forget(): void {
    rmSync(join(this.directory, 'data'), { recursive: true, force: true });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async ask(method: string, path: string, body?: Fields): Promise<Fields> {
    const headers = { 'content-type': 'application/json', ...this.#shown() };
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
    const response = await fetch(this.url + path, init);
    const answer = (await response.json()) as Fields;
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  create(sessionId: string, userId = 'ann', more: Fields = {}): Promise<Fields> {
    return this.ask('POST', '/api/sessions', { sessionId, userId, initial: {}, ...more });
  }

  action(session: string, body: Fields): Promise<Fields> {
    return this.ask('POST', `/api/actions/${session}`, body);
  }

  /** Stores a blob of a session. */
  async blob(session: string, hash: string, body: Uint8Array, mediaType: string): Promise<void> {
    const headers = { 'content-type': mediaType, ...this.#shown() };
    const response = await fetch(`${this.url}/api/sessions/${session}/blobs/${hash}`, {
      method: 'PUT',
      headers,
      body: new Uint8Array(body),
    });
    if (!response.ok) throw new Error(`blob: ${response.status} ${await response.text()}`);
  }

  /** Sends many changes of one session in one request. */
  async batch(session: string, lines: Fields[]): Promise<void> {
    const response = await fetch(`${this.url}/api/sessions/${session}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', ...this.#shown() },
      body: lines.map((line) => JSON.stringify(line)).join('\n'),
    });
    if (!response.ok) throw new Error(`batch: ${response.status} ${await response.text()}`);
  }
}

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}
