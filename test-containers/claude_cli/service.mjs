// Runs the recorder's service and the stub of the Messages API, each as a process of this campaign.

import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { start, waitFor } from './processes.mjs';

const START_MS = 60_000;
const STUB = fileURLToPath(new URL('../fly_achensee_claude/stub/server.mjs', import.meta.url));

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** The service with its own storage directory; it keeps its port when it is started again. */
export class Service {
  constructor(program, folder, env, port) {
    Object.assign(this, { program, folder, env, port, url: `http://127.0.0.1:${port}` });
  }

  static async onFreePort(program, folder, env) {
    return new Service(program, folder, env, await freePort());
  }

  async start() {
    const log = openSync(join(this.folder, 'service.log'), 'a');
    const options = ['--host', '127.0.0.1', '--port', String(this.port), '--storage-path', join(this.folder, 'data')];
    this.process = start(this.program, options, { stdio: ['ignore', log, log], env: this.env });
    const isWell = () => fetch(`${this.url}/health`).then((answer) => answer.ok, () => false);
    await waitFor('the start of the service', isWell, START_MS);
  }

  async stop() {
    const { process } = this;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, 'exit');
    process.kill('SIGTERM');
    await exited;
  }
}

/** Starts the stub; returns its process and its URL. */
export async function startStub(env) {
  const process = start('node', [STUB, '0'], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const [line] = await once(createInterface({ input: process.stdout }), 'line', { signal: AbortSignal.timeout(START_MS) });
  return { process, url: line.split(' ')[1] };
}
