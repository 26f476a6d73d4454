'use strict';
// The real service, from `SESSION_STORAGE_BIN` or from the workspace's build.

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync } = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { directory, until } = require('./setup.js');

const root = path.join(__dirname, '../../..');

function binary() {
  const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
  const found = process.env.SESSION_STORAGE_BIN ?? path.join(target, 'release/session-storage');
  if (!existsSync(found)) throw new Error(`no service at \`${found}\`: cargo build --release -p session-storage`);
  return found;
}

class Service {
  #child;
  #storage;
  /** The key that the test itself sends, once the service requires keys. */
  #key = '';
  url;
  /** Warnings that the service has logged. */
  log = '';

  static async start(t) {
    const service = new Service();
    t.after(() => service.kill());
    service.#storage = path.join(directory(t), 'data');
    await service.up();
    return service;
  }

  /** Starts the service; a restart uses the same URL. */
  async up() {
    const port = this.url === undefined ? '0' : new URL(this.url).port;
    const env = { ...process.env, PORT: port, HOST: '127.0.0.1', STORAGE_PATH: this.#storage, RUST_LOG: 'warn' };
    this.#child = spawn(binary(), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      this.log += text;
    });
    const lines = readline.createInterface({ input: this.#child.stdout });
    const [line] = await Promise.race([once(lines, 'line'), once(this.#child, 'exit')]);
    this.url = /^listening on (http:\S+)$/.exec(line)?.[1] ?? this.url;
    if (this.#child.exitCode !== null) throw new Error(`the service did not start: ${this.log}`);
  }

  /** Kills the service with SIGKILL. */
  async kill() {
    if (this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async get(where) {
    const headers = this.#key === '' ? {} : { authorization: `Bearer ${this.#key}` };
    const response = await fetch(`${this.url}${where}`, { headers });
    return { status: response.status, body: await response.json() };
  }

  /** The body of a response, whatever it is. */
  async bytes(where) {
    const response = await fetch(`${this.url}${where}`);
    if (response.status !== 200) throw new Error(`${where}: ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  }

  /** Runs a command of the service while it is running; returns the output. */
  command(...words) {
    const env = { ...process.env, STORAGE_PATH: this.#storage, PORT: '0' };
    return execFileSync(binary(), words, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  /** Creates the first key, for the operator: from now on the service requires a key. */
  async lock() {
    this.#key = this.command('key', 'create', '--name', 'operator', '--role', 'admin');
    await until(async () => (await this.says('')) !== '' && (await this.says(this.#key)) === '', 'it asks for keys');
  }

  /** Why the service rejects this key or token; '' if it accepts it. */
  async says(shown) {
    const headers = shown === '' ? {} : { authorization: `Bearer ${shown}` };
    const response = await fetch(`${this.url}/api/sessions?limit=1`, { headers });
    return response.status === 401 ? (await response.json()).error : '';
  }

  /** Creates a session token and waits until the service accepts it. */
  async token(session) {
    const token = this.command('token', 'issue', '--session', session, '--scope', 'append');
    await until(async () => (await this.says(token)) === '', 'it knows the token');
    return token;
  }

  async actions(session) {
    const { status, body } = await this.get(`/api/actions/${session}?limit=1000000`);
    return status === 404 ? [] : body;
  }

  /** The `n` of each action of a session. */
  async numbers(session) {
    return (await this.actions(session)).map((action) => action.n);
  }
}

module.exports = { Service };
