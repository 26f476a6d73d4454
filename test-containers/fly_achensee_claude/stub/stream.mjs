// Formats one turn as the Messages API sends it: whole, or as server-sent events.
//
// A turn is `{ text?, tools?: [{ id, name, input }] }`.

import { createHash } from 'node:crypto';
import { once } from 'node:events';

const PIECE = 64 * 1024;

function blocks(turn) {
  const text = turn.text ? [{ type: 'text', text: turn.text }] : [];
  return [...text, ...(turn.tools ?? []).map((tool) => ({ type: 'tool_use', ...tool }))];
}

function usage(turn) {
  return { input_tokens: 100, output_tokens: Math.ceil(JSON.stringify(blocks(turn)).length / 4) };
}

function idOf(turn) {
  return `msg_${createHash('sha256').update(JSON.stringify(turn)).digest('hex').slice(0, 24)}`;
}

function stopReason(turn) {
  return turn.tools?.length ? 'tool_use' : 'end_turn';
}

/** Returns the response to a request that asked for no stream. */
export function message(model, turn) {
  return {
    id: idOf(turn), type: 'message', role: 'assistant', model, content: blocks(turn),
    stop_reason: stopReason(turn), stop_sequence: null, usage: usage(turn),
  };
}

function* pieces(text) {
  for (let at = 0; at < text.length; at += PIECE) yield text.slice(at, at + PIECE);
}

function* blockEvents(block, index) {
  const tool = block.type === 'tool_use';
  const start = tool ? { ...block, input: {} } : { type: 'text', text: '' };
  yield { type: 'content_block_start', index, content_block: start };
  for (const piece of pieces(tool ? JSON.stringify(block.input) : block.text)) {
    const delta = tool ? { type: 'input_json_delta', partial_json: piece } : { type: 'text_delta', text: piece };
    yield { type: 'content_block_delta', index, delta };
  }
  yield { type: 'content_block_stop', index };
}

function* events(model, turn) {
  const { input_tokens, output_tokens } = usage(turn);
  const started = { ...message(model, turn), content: [], stop_reason: null, usage: { input_tokens, output_tokens: 1 } };
  yield { type: 'message_start', message: started };
  for (const [index, block] of blocks(turn).entries()) yield* blockEvents(block, index);
  yield { type: 'message_delta', delta: { stop_reason: stopReason(turn), stop_sequence: null }, usage: { output_tokens } };
  yield { type: 'message_stop' };
}

/** Writes the turn as events, no faster than the client reads, and ends the response. */
export async function writeStream(response, model, turn) {
  for (const event of events(model, turn)) {
    const more = response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    if (!more) await once(response, 'drain');
  }
  response.end();
}
