'use strict';
// What a message of LangChain says: its role, text, thinking and other content.

const { createHash } = require('node:crypto');

/** Parts of an answer's content that repeat its tool calls. */
const CALLS = new Set(['tool_use', 'tool_call', 'tool_call_chunk', 'function_call', 'input_json_delta']);
const TEXTS = new Set(['text', 'output_text', 'input_text']);
const THINKING = new Set(['thinking', 'reasoning', 'reasoning_content']);
const ROLES = { human: 'user', user: 'user', ai: 'assistant', assistant: 'assistant', tool: 'tool', function: 'tool' };

/** Whether a value is a message. Several copies of LangChain may be loaded, so its class does not tell. */
function isMessage(value) {
  return typeof value === 'object' && value !== null && typeof typeOf(value) === 'string' && 'content' in value;
}

function typeOf(message) {
  if (typeof message._getType === 'function') return message._getType();
  return typeof message.getType === 'function' ? message.getType() : undefined;
}

/** Returns `user`, `assistant`, `tool` or `system`. */
function roleOf(message) {
  const type = typeOf(message);
  return ROLES[type === 'generic' ? String(message.role).toLowerCase() : type] ?? 'system';
}

function isRemoval(message) {
  return typeOf(message) === 'remove';
}

/** Returns the text of a content, and its other blocks: images, files. */
function textAndBlocks(content) {
  const texts = [];
  const blocks = [];
  for (const block of blocksOf(content)) {
    const text = textOf(block);
    if (text === undefined) blocks.push(block);
    else texts.push(text);
  }
  return { text: texts.join('\n'), blocks };
}

/**
 * Returns the texts and the thinking of an answer, and its other blocks. Neighbouring texts are one; there is always a
 * text. `index` is the place of a part among the blocks of the message; `text` is null if only the provider knows it.
 */
function answerParts(message) {
  const content = blocksOf(message.content);
  const parts = [];
  const blocks = [];
  content.forEach((block, index) => {
    const text = textOf(block);
    const thinking = thinkingOf(block);
    const before = parts.at(-1);
    if (text !== undefined && before !== undefined && !before.isThinking) before.text += text;
    else if (text !== undefined) parts.push({ index, isThinking: false, text });
    else if (thinking !== undefined) parts.push({ index, isThinking: true, text: thinking || null });
    else if (!CALLS.has(block?.type)) blocks.push(block);
  });
  const beside = message.additional_kwargs?.reasoning_content;
  if (typeof beside === 'string' && beside !== '' && !parts.some((part) => part.isThinking)) {
    parts.unshift({ index: content.length, isThinking: true, text: beside });
  }
  if (parts.every((part) => part.isThinking)) parts.push({ index: content.length, isThinking: false, text: '' });
  return { parts, blocks };
}

/** Returns the tool calls of an answer. */
function callsOf(message) {
  return (message.tool_calls ?? []).map(({ id = null, name, args }) => ({ id, name, args }));
}

/** Returns what tells a message from others without its id; with `before`, also from the same one elsewhere. */
function digestOf(message, before = '') {
  const { text, blocks } = textAndBlocks(message.content);
  const sums = createHash('sha256').update(`${before}\0${roleOf(message)}\0${text}`);
  if (blocks.length > 0 || message.tool_call_id) sums.update(JSON.stringify([blocks, message.tool_call_id ?? null]));
  return sums.digest('hex').slice(0, 32);
}

function blocksOf(content) {
  return Array.isArray(content) ? content : [content ?? ''];
}

function textOf(block) {
  if (typeof block === 'string') return block;
  return TEXTS.has(block?.type) && typeof block.text === 'string' ? block.text : undefined;
}

/** Returns the thinking in a block, '' if only the provider can read it; undefined if it is another block. */
function thinkingOf(block) {
  const kind = block?.type;
  if (kind === 'redacted_thinking') return '';
  if (!THINKING.has(kind)) return undefined;
  const found = block[kind]?.text ?? block[kind];
  if (typeof found === 'string') return found;
  const summary = Array.isArray(block.summary) ? block.summary : [];
  return summary.map((one) => one?.text).filter((text) => typeof text === 'string').join('\n');
}

module.exports = { answerParts, callsOf, digestOf, isMessage, isRemoval, roleOf, textAndBlocks };
