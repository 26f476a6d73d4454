// Starts and ends the campaign's processes: it ends those that it has started, and no others; /proc identifies them.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const POLL_MS = 20;

const started = new Set();
process.on('exit', () => started.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** Starts a process that is ended with the campaign at the latest. */
export function start(program, words, options) {
  const child = spawn(program, words, options);
  started.add(child);
  child.once('exit', () => started.delete(child));
  return child;
}

/** Waits until `condition` returns something true, and returns it; fails with `what` after `ms`. */
export async function waitFor(what, condition, ms) {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await setTimeout(POLL_MS);
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Returns a process's pid, start time and boot id, as the recorder stores them; undefined if it has ended. */
export function identityOf(pid) {
  const stat = read(`/proc/${pid}/stat`);
  if (!stat) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return undefined;
  return { pid, startTime: Number(fields[19]), bootId: read('/proc/sys/kernel/random/boot_id').trim() };
}

/** Returns the command line of a process as a list of arguments. */
export function commandOf(pid) {
  return (read(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1);
}

/** Returns all running descendants of a process. */
export function descendantsOf(pid) {
  const children = (read(`/proc/${pid}/task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [identityOf(child), ...descendantsOf(child)]).filter(Boolean);
}

/** Kills those of these processes that are still running: a pid may have been given to another process. */
export function end(processes) {
  for (const known of processes) {
    if (identityOf(known.pid)?.startTime === known.startTime) process.kill(known.pid, 'SIGKILL');
  }
}
