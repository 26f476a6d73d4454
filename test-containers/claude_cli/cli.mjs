// Runs the CLI once, from its prompt to its exit, and collects what it reported about itself.

import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { saidIn } from '../fly_achensee_claude/said.mjs';
import { descendantsOf, end, identityOf, start, waitFor } from './processes.mjs';

const RUN_MS = 90_000;
const ALLOWED = 'Read,Edit,Write,Bash,Agent,Task';

/** The state of a run while the CLI is running. */
class Live {
  constructor(cli, stream) {
    Object.assign(this, { cli, stream, process: identityOf(cli.pid), children: [] });
  }

  get hasEnded() {
    return this.cli.exitCode !== null || this.cli.signalCode !== null;
  }

  /** The CLI's own session id; undefined until the CLI has printed it. */
  get session() {
    return /"session_id":"([^"]+)"/.exec(readFileSync(this.stream, 'utf8'))?.[1];
  }

  /** Records the processes that the CLI has started, so that they can be ended after the CLI. */
  noteChildren() {
    this.children = descendantsOf(this.cli.pid);
    return this.children;
  }

  signal(name) {
    this.signalled = { name, at: Date.now() };
    this.cli.kill(name);
  }
}

/**
 * Runs the CLI in a place (`{ folder, workspace, env, runs, service }`) and adds the run to `place.runs`. `during` may
 * act on the running CLI; the processes that it noted with `noteChildren` are ended afterwards.
 */
export async function runCli(place, { prompt, options = [], allowed = ALLOWED, during }) {
  const number = place.runs.length + 1;
  const file = (kind) => join(place.folder, `${number}.${kind}`);
  const words = ['-p', prompt, ...options, '--output-format', 'stream-json', '--verbose', '--include-hook-events'];
  words.push('--debug-file', file('debug'), '--allowedTools', allowed);
  const stdio = ['ignore', openSync(file('stream'), 'w'), openSync(file('errors'), 'w')];
  const begun = Date.now();
  writeFileSync(file('begun'), JSON.stringify({ scenario: 0, begun }));
  const cli = start('claude', words, { cwd: place.workspace, env: place.env, stdio });
  const exited = once(cli, 'exit');
  const live = new Live(cli, file('stream'));
  try {
    await during?.(live, place);
    await waitFor(`the end of \`claude -p '${prompt}'\``, () => live.hasEnded, RUN_MS);
  } finally {
    if (!live.hasEnded) cli.kill('SIGKILL');
    await exited;
    end(live.children);
  }
  const { session, process, signalled } = live;
  const exit = cli.exitCode ?? cli.signalCode;
  const run = { number, prompt, begun, ended: Date.now(), exit, session, process, signalled, lines: saidIn(place.folder, number) };
  place.runs.push(run);
  return run;
}
