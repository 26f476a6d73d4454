// Compares what the CLI reported about the runs of a session with what was recorded of the session.
//
// A tool call that a signal cuts off has no result of its own: the CLI reports none, or makes one up. The call must be
// recorded as interrupted, once, by the next hook of the session: at the end of its run or, if the run was killed, at
// the start of the next run. If no hook follows, the call has no result, and the session stays active with the process
// that ran it.

import { isClaim } from '../fly_achensee_claude/accounts.mjs';
import { answersOf } from './transcripts.mjs';

const CALLS = [
  'bash_exec', 'file_read', 'file_write', 'file_edit', 'file_delete', 'search', 'web_search', 'web_fetch', 'mcp_call',
  'task_spawn', 'plan', 'question', 'tool_call',
];
const RESULTS = ['tool_result'];
/**
 * The CLI's exits, with and without SessionEnd. SIGINT in the middle of a tool is a race between two ways of exiting,
 * of which only one runs that hook.
 */
const EXITS = {
  none: { withEnd: 0 },
  SIGINT: { withEnd: 0, without: 1 },
  SIGTERM: { withEnd: 143 },
  SIGHUP: { withEnd: 129 },
  SIGKILL: { without: 'SIGKILL' },
};

const kind = (lines, name) => lines.filter((line) => line.kind === name);
const last = (list) => list.at(-1);

/** Summarizes the runs of one session as the CLI reported them. */
function saidOf(runs) {
  const all = runs.flatMap((run) => run.lines);
  const agentOf = new Map(kind(all, 'agent').map((line) => [line.toolUseId, line.id]));
  const hasEnd = ({ lines }) => kind(lines, 'quietHook').some((line) => line.event === 'SessionEnd');
  const known = runs.map((run, at) => ({ ...run, hasEnd: hasEnd(run), isResumed: at + 1 < runs.length }));
  const denied = kind(all, 'result').flatMap((line) => line.denied);
  const calls = [];
  for (const run of known) {
    const ends = [...kind(run.lines, 'succeeded'), ...kind(run.lines, 'failed')];
    const results = new Map(ends.map((line) => [line.id, line]));
    for (const { id, name, parent } of kind(run.lines, 'tool')) {
      const said = results.get(id);
      const isMadeUp = said?.kind === 'failed' && Date.parse(said.at) >= run.signalled?.at;
      const isCut = Boolean(run.signalled) && (!said || isMadeUp);
      const ended = { succeeded: 'ok', failed: denied.includes(id) ? 'denied' : 'error' }[said?.kind];
      const status = isCut ? (run.hasEnd || run.isResumed ? 'interrupted' : undefined) : ended;
      calls.push({ id, tool: name, agent: parent && agentOf.get(parent), status, said, run, isCut });
    }
  }
  const answers = kind(all, 'answer').length ? kind(all, 'answer') : kind(all, 'session');
  return { runs: known, all, calls, last: last(known), model: last(answers)?.model };
}

/** Returns the status, outcome and final status that the session must have after its last run. */
function endOf(run) {
  if (!run.hasEnd) return { status: 'active', outcome: null, final: undefined };
  const { ok } = kind(run.lines, 'result').at(-1) ?? {};
  const outcome = run.signalled ? 'interrupted' : ok ? 'success' : 'error';
  return { status: 'completed', outcome, final: outcome };
}

class Faults {
  list = [];

  same(what, recorded, said) {
    const [a, b] = [JSON.stringify(recorded), JSON.stringify(said)];
    if (a !== b) this.list.push(`${what}: recorded ${a}, by the CLI ${b}`);
  }

  none(what, found) {
    if (found.length) this.list.push(`${what}: ${JSON.stringify(found)}`);
  }
}

const sorted = (list) => [...list].sort();

function calls(faults, said, records) {
  const found = records.filter((record) => CALLS.includes(record.type));
  const one = (id, tool, agent) => `${id} ${tool} by ${agent ?? 'the main agent'}`;
  faults.same(
    'calls',
    sorted(found.map((record) => one(record.callId, record.tool, record.agentId))),
    sorted(said.calls.map((call) => one(call.id, call.tool, call.agent))),
  );
  return found;
}

function results(faults, said, records) {
  const found = records.filter((record) => RESULTS.includes(record.type));
  faults.same(
    'results',
    sorted(found.map((record) => `${record.callId} ${record.status}`)),
    sorted(said.calls.filter((call) => call.status).map((call) => `${call.id} ${call.status}`)),
  );
  return found;
}

function agents(faults, said, { state }, records) {
  const ids = sorted(kind(said.all, 'agent').map((line) => line.id));
  faults.same('agents that were started', sorted(state.agents.spawned.map((agent) => agent.agentId)), ids);
  faults.same('agents that are done', sorted(state.agents.completed), ids);
  faults.same('agents at work', state.agents.active, []);
  for (const type of ['agent_started', 'agent_stopped']) {
    const found = records.filter((record) => record.type === type).map((record) => record.agentId);
    faults.same(type, sorted(found), ids);
  }
  const compactions = kind(said.all, 'compacted').length;
  for (const type of ['pre_compact', 'compaction']) {
    faults.same(type, records.filter((record) => record.type === type).length, compactions);
  }
}

/** Checks that each prompt and each answer was recorded once, as the CLI's stream and transcripts have it. */
function messages(faults, said, records, answers) {
  const prompts = said.runs.map((run) => run.prompt).filter((prompt) => !prompt.startsWith('/'));
  faults.same('prompts', records.filter(({ type }) => type === 'user_message').map(({ text }) => text), prompts);
  const found = records.filter(({ type }) => type === 'assistant_message');
  const one = ({ agent, id, text }) => `${id} by ${agent ?? 'the main agent'}: ${text}`;
  const wanted = answers.flatMap(({ agent, id, texts }) => texts.map((text) => one({ agent, id, text })));
  const recorded = found.map(({ agentId, messageId, text }) => one({ agent: agentId, id: messageId, text }));
  faults.same('messages', sorted(recorded), sorted(wanted));
  const streamed = kind(said.all, 'message').filter(({ parent }) => !parent);
  const unheard = streamed.filter(({ id, text }) => !found.some((record) => record.messageId === id && record.text === text));
  faults.none('messages of the stream that were not recorded', unheard);
  return { found: found.length, wanted: wanted.length };
}

/** Checks that every record has a key of its own, and that each run began once. */
function repeats(faults, said, records) {
  const keys = records.map((record) => record.key);
  faults.none('records without a key', records.filter((record) => !record.key));
  faults.none('keys of several records', keys.filter((key, at) => keys.indexOf(key) !== at));
  const starts = ['session_started', 'session_resumed', 'session_forked'];
  faults.same('starts', records.filter(({ type }) => starts.includes(type)).length, said.runs.length);
  const asked = kind(said.all, 'hook').filter((line) => line.phase === 'started' && line.event === 'PermissionRequest');
  const permissions = new Set(records.filter(({ type }) => type === 'permission').map((record) => record.callId));
  faults.same('permissions', records.filter(({ type }) => type === 'permission').length, permissions.size);
  faults.none('permissions that were not recorded', asked.length && !permissions.size ? asked : []);
}

const TOKENS = ['input', 'output', 'cacheRead', 'cacheWrite'];

function sum(list) {
  return Object.fromEntries(TOKENS.map((name) => [name, list.reduce((all, one) => all + (one[name] ?? 0), 0)]));
}

/** Checks that the usage is that of the transcripts, and its sums those that the CLI reported for its runs. */
function usage(faults, said, records, answers) {
  const found = records.filter(({ type }) => type === 'usage');
  const one = (id, tokens) => `${id} ${TOKENS.map((name) => tokens[name]).join(' ')}`;
  const wanted = answers.map(({ id, usage }) => one(id, {
    input: usage.input_tokens, output: usage.output_tokens,
    cacheRead: usage.cache_read_input_tokens, cacheWrite: usage.cache_creation_input_tokens,
  }));
  faults.same('usage', sorted(found.map((record) => one(record.messageId, record))), sorted(wanted));
  for (const run of said.runs.filter(({ signalled }) => !signalled)) {
    const { models } = last(kind(run.lines, 'result')) ?? {};
    // The CLI writes the usage of the request that summarizes a conversation to no file.
    if (!models || kind(run.lines, 'compacted').length) continue;
    const ofCli = Object.values(models).map((model) => ({
      input: model.inputTokens, output: model.outputTokens,
      cacheRead: model.cacheReadInputTokens, cacheWrite: model.cacheCreationInputTokens,
    }));
    faults.same(`usage of run ${run.number}`, sum(found.filter((record) => isIn(record.timestamp, [run]))), sum(ofCli));
  }
  return sum(found);
}

function end(faults, said, { metadata, final, state, initial }, events) {
  const wanted = endOf(said.last);
  const { status, outcome } = metadata;
  const found = [status, outcome, final?.status];
  faults.same('status, outcome, final status', found, [wanted.status, wanted.outcome, wanted.final]);
  if (wanted.outcome === 'success') {
    faults.same('last words', final?.finalResponse, last(kind(said.last.lines, 'result')).text);
  }
  const { pid, startTime, bootId } = state.claudeCode?.process ?? {};
  faults.same('process', { pid, startTime, bootId }, said.last.process);
  faults.same('id of the CLI', state.claudeCode?.sessionId, said.last.session);
  faults.same('source', initial.source, 'claude-code');
  const turns = said.runs.flatMap((run, at) => {
    const begin = at === 0 ? 'session_created' : said.runs[at - 1].hasEnd && 'session_reopened';
    return [begin, run.hasEnd && 'session_finalized'].filter(Boolean);
  });
  const told = events.filter((event) => event.type.startsWith('session_') && !isClaim(event));
  faults.same('created, finalized, reopened', told.map((event) => event.type), turns);
}

const at = (time) => Date.parse(time);
const isIn = (time, runs) => runs.some((run) => run.begun <= at(time) && at(time) <= run.ended);

/** Checks that all times are within a run and each call is before its result, no matter when it was delivered. */
function times(faults, said, { metadata, initial, final }, records, { receivedAfter, fork }) {
  const others = records.filter((record) => !isIn(record.timestamp, said.runs));
  // A fork reports its start under the session id of its origin.
  const isAnnouncement = (record) => record.type === 'session_start' && fork && isIn(record.timestamp, [fork]);
  faults.same('announcements of a fork', others.filter(isAnnouncement).length, fork ? 1 : 0);
  faults.none('records of no run', others.filter((record) => !isAnnouncement(record)));
  faults.none('created in another run', isIn(metadata.created, said.runs.slice(0, 1)) ? [] : [metadata.created]);
  faults.none('final in another run', !final || isIn(final.timestamp, [said.last]) ? [] : [final.timestamp]);
  faults.same('duration', metadata.duration, final ? at(final.timestamp) - at(metadata.created) : null);
  const isEarly = receivedAfter && !(at(initial.receivedAt) >= receivedAfter);
  faults.none('received while the service was away', isEarly ? [initial.receivedAt] : []);
  for (const call of said.calls) timesOfCall(faults, call, records);
}

function timesOfCall(faults, { id, said, run }, records) {
  const [called, ended] = [CALLS, RESULTS].map((types) =>
    records.find((record) => record.callId === id && types.includes(record.type)),
  );
  // A call that never began is recorded together with its result.
  const isAfter = called?.event === 'PreToolUse' && said && at(called.timestamp) > at(said.at);
  faults.none('calls after the result that the CLI had', isAfter ? [called] : []);
  faults.none('results before their call', ended && called && at(ended.timestamp) < at(called.timestamp) ? [ended] : []);
  const took = ended?.durationMs ?? 0;
  faults.none('calls that took longer than their run', took >= 0 && took <= run.ended - run.begun ? [] : [ended]);
}

function exits(faults, { runs }) {
  for (const { exit, hasEnd, signalled } of runs) {
    const wanted = EXITS[signalled?.name ?? 'none'];
    const found = `${exit} ${hasEnd ? 'with' : 'without'} SessionEnd`;
    faults.none('exits that the CLI does not have', exit === (hasEnd ? wanted.withEnd : wanted.without) ? [] : [found]);
  }
}

/** Checks that each hook was called as often as the hooks are installed, so that a repeat could be recorded. */
function hooks(faults, said, copies = 1) {
  const prompts = kind(said.all, 'hook').filter((line) => line.phase === 'started' && line.event === 'UserPromptSubmit');
  const submitted = said.runs.filter(({ prompt }) => !prompt.startsWith('/')).length;
  faults.same('calls of UserPromptSubmit', prompts.length, submitted * copies);
  const ends = [...kind(said.all, 'quietHook'), ...kind(said.all, 'hook').filter((line) => line.phase === 'ended')];
  const isRight = ({ exitCode, stdout, stderr }) => exitCode === 0 && !stdout && !stderr;
  faults.none('hooks that said something or failed', ends.filter((line) => !isRight(line)));
}

/** Compares the runs of one session with its records; returns the numbers side by side, and the differences. */
export function compare({ runs, ...other }, { session, events, records }, user, configFolder) {
  const said = saidOf(runs);
  const faults = new Faults();
  const found = { calls: calls(faults, said, records), results: results(faults, said, records) };
  const answers = answersOf(configFolder, runs[0].session, runs[0].begun);
  const heard = messages(faults, said, records, answers);
  const tokens = usage(faults, said, records, answers);
  repeats(faults, said, records);
  agents(faults, said, session, records);
  end(faults, said, session, events);
  faults.same('model', session.metadata.model, said.model);
  faults.same('user', session.metadata.userId, user);
  const before = faults.list.length;
  times(faults, said, session, records, other);
  const areTimesRight = faults.list.length === before;
  hooks(faults, said, other.copies);
  exits(faults, said);
  const by = (status) => said.calls.filter((call) => call.said?.kind === status).length;
  return {
    calls: [said.calls.length, found.calls.length],
    results: [by('succeeded') + by('failed'), found.results.length],
    failed: [by('failed'), found.results.filter((record) => ['error', 'denied'].includes(record.status)).length],
    messages: [heard.wanted, heard.found],
    tokens: [tokens.input, tokens.output],
    cut: said.calls.filter((call) => call.isCut).length,
    end: [session.metadata.status, session.metadata.outcome, session.final?.status],
    model: [said.model, session.metadata.model],
    exits: runs.map(({ exit }) => exit),
    areTimesRight,
    isUntold: said.last.signalled?.name === 'SIGINT' && !said.last.hasEnd,
    faults: faults.list,
  };
}
