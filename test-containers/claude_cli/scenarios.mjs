// The scenarios in which the CLI is run. Each runs in its own place and returns what to compare: lists of runs, each
// list of one session.

import { join } from 'node:path';
import { runCli } from './cli.mjs';
import { commandOf, waitFor } from './processes.mjs';

const RECORDED_MS = 60_000;
const PREPARE = { prompt: 'SCN_TOOLS: prepare the day.' };
const NEXT_DAY = { prompt: 'SCN_RESUME: anything new this morning?' };
const INVALID = { prompt: 'SCN_INVALID: reset the wind station.' };
const WAIT = { prompt: 'SCN_SLEEP: wait for the wind.' };

/** A run that ends by itself. */
const once = (run) => async (place) => [{ runs: [await runCli(place, run)] }];

/** Several runs; the later ones resume the session of the first. */
const inARow = (first, ...further) => async (place) => {
  const runs = [await runCli(place, first)];
  for (const { options = [], ...run } of further) {
    runs.push(await runCli(place, { ...run, options: ['--resume', runs[0].session, ...options] }));
  }
  return [{ runs }];
};

/** A session that is forked from another one, which must stay as it was. The fork's first calls never begin. */
async function fork(place) {
  const origin = await runCli(place, PREPARE);
  const forked = await runCli(place, { ...INVALID, options: ['--resume', origin.session, '--fork-session'] });
  return [{ runs: [forked] }, { runs: [origin], fork: forked }];
}

/** A run that gets a signal once the service has the record of its command and the command is running. */
function signalled(signal) {
  async function during(live, { service }) {
    const isRecorded = async () => {
      if (live.hasEnded) throw new Error('the CLI ended before the signal');
      if (!live.session) return false;
      const answer = await fetch(`${service.url}/api/actions/${live.session}?type=bash_exec`);
      return answer.ok && (await answer.text()).includes('sleep 30');
    };
    await waitFor('the record of the command', isRecorded, RECORDED_MS);
    const isCommand = ({ pid }) => commandOf(pid).join(' ') === 'sleep 30';
    await waitFor('the command', () => live.noteChildren().some(isCommand), RECORDED_MS);
    live.signal(signal);
  }
  return { ...WAIT, during };
}

/** A run while the service is stopped; the service is started again afterwards. */
async function serviceAway(place) {
  const from = Date.now();
  await place.service.stop();
  const run = await runCli(place, PREPARE);
  await place.service.start();
  place.away = [from, Date.now()];
  return [{ runs: [run], receivedAfter: run.ended }];
}

/** A run with the hooks installed twice: for the project, and by another program for the user. */
function twice(run) {
  return async (place) => {
    const change = (what) => place.agent(join(place.copy, 'hook-agent'), [what, 'claude-code', '--user']);
    await change('install');
    try {
      return [{ runs: [await runCli(place, run)], copies: 2 }];
    } finally {
      await change('uninstall');
    }
  };
}

export const SCENARIOS = [
  { name: 'hello', run: once({ prompt: 'SCN_HELLO: say hello.' }) },
  { name: 'tools', run: once(PREPARE) },
  { name: 'failing tool', run: once({ prompt: 'SCN_FAILING: ask the wind station.' }) },
  { name: 'denied tool', run: once({ prompt: 'SCN_DENIED: reset the wind station.', allowed: 'Read' }) },
  { name: 'invalid tool', run: once(INVALID) },
  { name: 'parallel subagents', run: once({ prompt: 'SCN_AGENTS: who flies?' }) },
  // With another model, to see which one is recorded.
  { name: 'resume', run: inARow(PREPARE, { ...NEXT_DAY, options: ['--model', 'claude-haiku-4-5'] }) },
  { name: 'fork', run: fork },
  { name: '/compact', run: inARow(PREPARE, { prompt: '/compact' }, NEXT_DAY) },
  { name: 'SIGINT', run: once(signalled('SIGINT')) },
  { name: 'SIGTERM', run: once(signalled('SIGTERM')) },
  { name: 'SIGHUP', run: once(signalled('SIGHUP')) },
  { name: 'SIGKILL', run: once(signalled('SIGKILL')) },
  { name: 'SIGKILL, then resume', run: inARow(signalled('SIGKILL'), NEXT_DAY) },
  { name: 'service away, then back', run: serviceAway },
  { name: 'hooks installed twice', run: twice(PREPARE) },
  { name: 'hooks installed twice, subagents', run: twice({ prompt: 'SCN_AGENTS: who flies?' }) },
  { name: 'hooks installed twice, denied', run: twice({ prompt: 'SCN_DENIED: reset the wind station.', allowed: 'Read' }) },
];
