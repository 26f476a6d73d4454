'use strict';
// The service itself, from `SESSION_STORAGE_BIN` or what the workspace has built.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync } = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { directory } = require('./setup.js');

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
  url;
  /** What it warned of. */
  log = '';

  static async start(t) {
    const service = new Service();
    t.after(() => service.kill());
    service.#storage = path.join(directory(t), 'data');
    await service.up();
    return service;
  }

  /** Starts it, again at the same address if it ran before. */
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

  /** `kill -9`. */
  async kill() {
    if (this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async get(where) {
    const response = await fetch(`${this.url}${where}`);
    return { status: response.status, body: await response.json() };
  }

  async actions(session) {
    const { status, body } = await this.get(`/api/actions/${session}?limit=1000000`);
    return status === 404 ? [] : body;
  }

  /** The `n` of a session's actions. */
  async numbers(session) {
    return (await this.actions(session)).map((action) => action.n);
  }
}

module.exports = { Service };
