'use strict';
// The binding's figures with their peer in the same run, as rows of the table that scripts/bench-hooks.sh prints.
//
//   node bench/figures.js URL        a running service; SPOOL says where the spool goes

const { statSync } = require('node:fs');
const path = require('node:path');
const axios = require('axios');
const { HookAgent } = require('hook-agent');

const MIB = 1024 * 1024;
const [url] = process.argv.slice(2);
const run = `${process.pid}`;

/** 300 bytes, as a tool call of an agent is. */
function event() {
  const call = { type: 'tool_call', tool: 'grep', text: '' };
  return { ...call, text: 'x'.repeat(300 - JSON.stringify(call).length) };
}

function agent(session) {
  return new HookAgent({ serviceUrl: url, sessionId: `bench-node-${session}-${run}`, spoolDir: process.env.SPOOL });
}

/** Microseconds of each of so many calls. */
function sample(count, call) {
  const times = new Float64Array(count);
  for (let n = 0; n < count; n += 1) {
    const began = process.hrtime.bigint();
    call();
    times[n] = Number(process.hrtime.bigint() - began) / 1000;
  }
  return times;
}

async function awaited(count, call) {
  const times = [];
  for (let n = 0; n < count; n += 1) {
    const began = process.hrtime.bigint();
    await call();
    times.push(Number(process.hrtime.bigint() - began) / 1000);
  }
  return times;
}

function percentile(times, which) {
  const sorted = Float64Array.from(times).sort();
  return sorted[Math.floor(((sorted.length - 1) * which) / 100)];
}

function row(work, measured, peer, bound, held) {
  console.log(`| ${work} | ${measured} | ${peer} | ${bound}: ${held ? 'met' : 'MISSED'} |`);
}

/** The typed helpers, each with about 300 bytes and an id of its own, in turns of 1,000. */
async function typed() {
  const writer = agent('typed');
  const text = 'x'.repeat(150);
  const origin = { agent: 'claude-code' };
  const calls = {
    logToolCall: (id) => writer.logToolCall('Bash', { command: text, description: 'List files' }, { callId: id, turnId: 't-1', origin }),
    logToolResult: (id) => writer.logToolResult('Bash', id, text, { exitCode: 0, turnId: 't-1' }),
    logUserMessage: (id) => writer.logUserMessage(text, { turnId: id }),
    logAssistantMessage: (id) => writer.logAssistantMessage(text, { messageId: id, blockIndex: 0 }),
    logThinking: (id) => writer.logThinking(text, { messageId: id, blockIndex: 0 }),
    logUsage: (id) => writer.logUsage(id, 'claude-opus-4-5', { input: 12, output: 4 }),
    logFileChange: (id) => writer.logFileChange('/w/a.js', 'edit', { callId: id, added: 1, removed: 2 }),
    checkpoint: () => writer.checkpoint(text),
  };
  let made = 0;
  const nextId = () => `id_${(made += 1)}`;
  const times = Object.fromEntries(Object.keys(calls).map((name) => [name, []]));
  for (let turn = 0; turn < 11; turn += 1) {
    for (const [name, call] of Object.entries(calls)) {
      const taken = sample(1000, () => call(nextId()));
      if (turn > 0) times[name].push(...taken); // The first turn is the compiler's.
    }
    await writer.flush(60_000);
  }
  for (const [name, taken] of Object.entries(times)) {
    const median = percentile(taken, 50);
    row(`Node \`${name}\`, un-awaited`, `p50 ${median.toFixed(2)} µs, p99 ${percentile(taken, 99).toFixed(1)}`, '', 'p50 ≤ 5 µs', median <= 5);
  }
  await writer.close();
}

async function main() {
  const data = event();
  const calls = agent('calls');
  const acks = agent('awaited');
  const post = () => axios.post(`${url}/api/actions/bench-axios-${run}`, data);
  await awaited(200, () => calls.logAction(data));
  await awaited(200, post);
  // In turns, so that whatever else the machine does meets all of them.
  const [own, answered, theirs] = [[], [], []];
  for (let turn = 0; turn < 10; turn += 1) {
    own.push(...sample(5000, () => calls.logAction(data)));
    await calls.flush(30_000);
    answered.push(...(await awaited(200, () => acks.logAction(data))));
    theirs.push(...(await awaited(200, post)));
  }
  const [call, ack, axiosPost] = [own, answered, theirs].map((times) => percentile(times, 50));
  const p99 = percentile(own, 99).toFixed(1);
  const peer = `axios POST, awaited: p50 ${axiosPost.toFixed(0)} µs`;
  row('Node `logAction(object)`, 300 B, un-awaited', `p50 ${call.toFixed(2)} µs, p99 ${p99}`, '', 'p50 ≤ 5 µs', call <= 5);
  row('the same, to its peer', `1/${(axiosPost / call).toFixed(0)}`, peer, '≤ 1/60', axiosPost / call >= 60);
  row('the same, awaited', `p50 ${ack.toFixed(0)} µs, 1/${(axiosPost / ack).toFixed(1)}`, peer, 'no slower', ack <= axiosPost);
  await typed();
  const bytes = statSync(path.join(__dirname, '../hook-agent.node')).size;
  row('Node addon', `${(bytes / MIB).toFixed(1)} MiB`, '', '≤ 8 MB', bytes <= 8_000_000);
  await calls.close();
  await acks.close();
}

main();
