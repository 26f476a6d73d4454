// What the CLI said of itself in a run, shortened: its stream-json and its debug log in, the side file's lines out.
//
//   node side.mjs RUN FOLDER        reads FOLDER/RUN.begun, RUN.stream and RUN.debug
//
//   {"run","kind":"run","scenario","begun","ended"}        first: when it began; whether it came to its end
//   {"run","kind":"session","id"}                          the CLI's session
//   {"run","kind":"hook","phase":"started","id","event","name"}
//   {"run","kind":"hook","phase":"ended","id","event","name","exitCode","stdout","stderr"}
//   {"run","kind":"quietHook","event","exitCode"}          a hook that is in the debug log alone
//   {"run","kind":"tool","id","name","parent"}             a tool call of the model, or of the agent that `parent` started
//   {"run","kind":"failed","id"}                           a tool call that failed
//   {"run","kind":"agent","id","toolUseId","task"}         a sub-agent that was started
//   {"run","kind":"result","ok","text"}                    the end
//
// The stream has no InstructionsLoaded and no SessionEnd: the CLI runs these two outside of the conversation, the one
// without waiting for it, the other after the stream's last line. It does note their end in its debug log.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [number, folder] = process.argv.slice(2);
const run = Number(number);
const read = (kind) => {
  const path = join(folder, `${run}.${kind}`);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
};

function* ofSystem(line) {
  if (line.subtype === 'init') yield { kind: 'session', id: line.session_id };
  const hook = { kind: 'hook', id: line.hook_id, event: line.hook_event, name: line.hook_name };
  if (line.subtype === 'hook_started') yield { ...hook, phase: 'started' };
  if (line.subtype === 'hook_response') {
    yield { ...hook, phase: 'ended', exitCode: line.exit_code, stdout: line.stdout, stderr: line.stderr };
  }
  if (line.subtype === 'task_started') {
    yield { kind: 'agent', id: line.task_id, toolUseId: line.tool_use_id, task: line.description };
  }
}

function* ofContent(blocks, parent) {
  if (!Array.isArray(blocks)) return;
  for (const block of blocks) {
    if (block.type === 'tool_use') yield { kind: 'tool', id: block.id, name: block.name, parent };
    if (block.type === 'tool_result' && block.is_error) yield { kind: 'failed', id: block.tool_use_id };
  }
}

function* ofStream(line) {
  if (line.type === 'system') yield* ofSystem(line);
  if (line.type === 'assistant' || line.type === 'user') {
    yield* ofContent(line.message.content, line.parent_tool_use_id ?? undefined);
  }
  if (line.type === 'result') yield { kind: 'result', ok: !line.is_error, text: line.result };
}

function* ofDebug(line) {
  const found = / (InstructionsLoaded|SessionEnd)\S* \[[^\]]*hook-agent claude-code\] (.*)$/.exec(line);
  if (!found) return;
  const code = /^completed with status (\d+)$/.exec(found[2]);
  yield { kind: 'quietHook', event: found[1], exitCode: code ? Number(code[1]) : found[2] };
}

/** The lines that are whole: a kill can tear the last one. */
function* stream() {
  const whole = read('stream').slice(0, -1);
  for (const text of whole) yield* ofStream(JSON.parse(text));
}

const said = [...stream(), ...read('debug').flatMap((line) => [...ofDebug(line)])];
const ended = said.some((line) => line.kind === 'result');
const first = { kind: 'run', ...JSON.parse(read('begun').join('')), ended };
for (const line of [first, ...said]) console.log(JSON.stringify({ run, ...line }));
