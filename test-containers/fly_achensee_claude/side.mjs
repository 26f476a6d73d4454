// What the CLI says of itself, shortened: its stream-json on standard input, the side file's lines on standard output.
//
//   node side.mjs RUN
//
//   {"run","kind":"session","id"}                          the CLI's session
//   {"run","kind":"hook","phase":"started","id","event","name"}
//   {"run","kind":"hook","phase":"ended","id","event","name","exitCode","stdout","stderr"}
//   {"run","kind":"tool","id","name"}                      a tool call of the model
//   {"run","kind":"failed","id"}                           a tool call that failed
//   {"run","kind":"agent","id","toolUseId","task"}         a sub-agent that was started
//   {"run","kind":"result","ok","text"}                    the end
// Two of its hooks are not here: SessionEnd runs after the last line, InstructionsLoaded is not reported; one each a run.

import { createInterface } from 'node:readline';

const run = Number(process.argv[2] ?? 1);

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

function* ofContent(blocks) {
  if (!Array.isArray(blocks)) return;
  for (const block of blocks) {
    if (block.type === 'tool_use') yield { kind: 'tool', id: block.id, name: block.name };
    if (block.type === 'tool_result' && block.is_error) yield { kind: 'failed', id: block.tool_use_id };
  }
}

function* told(line) {
  if (line.type === 'system') yield* ofSystem(line);
  if (line.type === 'assistant' || line.type === 'user') yield* ofContent(line.message.content);
  if (line.type === 'result') yield { kind: 'result', ok: !line.is_error, text: line.result };
}

for await (const text of createInterface({ input: process.stdin })) {
  for (const line of told(JSON.parse(text))) console.log(JSON.stringify({ run, ...line }));
}
