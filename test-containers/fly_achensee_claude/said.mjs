// Shortens what the CLI reported about itself in a run: reads its stream-json and its debug log, returns the side
// file's lines.
//
//   {"run","kind":"run","scenario","begun","ended"}        first: when the run began, and whether it came to its end
//   {"run","kind":"session","id","model"}                  the CLI's session, and the model it is about to ask
//   {"run","kind":"answer","model"}                        a response of the model, or a part of one
//   {"run","kind":"message","id","text","parent"}          a text that the model wrote
//   {"run","kind":"hook","phase":"started","id","event","name"}
//   {"run","kind":"hook","phase":"ended","id","event","name","exitCode","stdout","stderr"}
//   {"run","kind":"quietHook","event","exitCode"}          a hook that is only in the debug log
//   {"run","kind":"tool","id","name","parent"}             a call of the model, or of the agent that `parent` started
//   {"run","kind":"succeeded","id","at"}                   the result of a tool call, and when the CLI had it
//   {"run","kind":"failed","id","at"}                      a tool call that failed
//   {"run","kind":"agent","id","toolUseId","task"}         a sub-agent that was started
//   {"run","kind":"compacted","trigger"}                   the conversation was replaced by its summary
//   {"run","kind":"result","ok","text","denied","models"}  the end, with the ids of the calls that were not allowed, and
//                                                          the usage of each model
//
// The stream has no InstructionsLoaded and no SessionEnd: the CLI runs both outside of the conversation, the first
// without waiting for it, the second after the stream's last line. Their end is in its debug log.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

function* ofSystem(line) {
  if (line.subtype === 'init') yield { kind: 'session', id: line.session_id, model: line.model };
  const hook = { kind: 'hook', id: line.hook_id, event: line.hook_event, name: line.hook_name };
  if (line.subtype === 'hook_started') yield { ...hook, phase: 'started' };
  if (line.subtype === 'hook_response') {
    yield { ...hook, phase: 'ended', exitCode: line.exit_code, stdout: line.stdout, stderr: line.stderr };
  }
  if (line.subtype === 'task_started') {
    yield { kind: 'agent', id: line.task_id, toolUseId: line.tool_use_id, task: line.description };
  }
  if (line.subtype === 'compact_boundary') yield { kind: 'compacted', trigger: line.compact_metadata?.trigger };
}

function* ofContent(blocks, parent, at) {
  if (!Array.isArray(blocks)) return;
  for (const block of blocks) {
    if (block.type === 'tool_use') yield { kind: 'tool', id: block.id, name: block.name, parent };
    if (block.type === 'tool_result') yield { kind: block.is_error ? 'failed' : 'succeeded', id: block.tool_use_id, at };
  }
}

function* ofStream(line) {
  if (line.type === 'system') yield* ofSystem(line);
  // A response that the CLI inserts itself has a model in angle brackets.
  if (line.type === 'assistant' && !line.message.model.startsWith('<')) {
    yield { kind: 'answer', model: line.message.model };
    for (const { type, text } of line.message.content) {
      const parent = line.parent_tool_use_id ?? undefined;
      if (type === 'text') yield { kind: 'message', id: line.message.id, text, parent };
    }
  }
  if (line.type === 'assistant' || line.type === 'user') {
    yield* ofContent(line.message.content, line.parent_tool_use_id ?? undefined, line.timestamp);
  }
  if (line.type === 'result') {
    const denied = (line.permission_denials ?? []).map((call) => call.tool_use_id);
    yield { kind: 'result', ok: !line.is_error, text: line.result, denied, models: line.modelUsage };
  }
}

function* ofDebug(line) {
  const found = / (InstructionsLoaded|SessionEnd)\S* \[[^\]]*hook-agent claude-code\] (.*)$/.exec(line);
  if (!found) return;
  const code = /^completed with status (\d+)$/.exec(found[2]);
  yield { kind: 'quietHook', event: found[1], exitCode: code ? Number(code[1]) : found[2] };
}

function linesOf(path) {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
}

/** Returns the side file's lines of one run, from `folder`'s files RUN.begun, RUN.stream and RUN.debug. */
export function saidIn(folder, run) {
  const read = (kind) => linesOf(join(folder, `${run}.${kind}`));
  // A kill can leave the last line incomplete.
  const whole = read('stream').slice(0, -1);
  const said = [
    ...whole.flatMap((text) => [...ofStream(JSON.parse(text))]),
    ...read('debug').flatMap((line) => [...ofDebug(line)]),
  ];
  const ended = said.some((line) => line.kind === 'result');
  const first = { kind: 'run', ...JSON.parse(read('begun').join('')), ended };
  return [first, ...said].map((line) => ({ run, ...line }));
}
