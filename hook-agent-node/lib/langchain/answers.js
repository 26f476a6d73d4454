'use strict';
// What a model says of itself: its name, its provider, why it stopped, and the tokens that it used.

const MODEL = ['model_name', 'model', 'model_id', 'modelId'];
const PROVIDER = ['model_provider'];
const STOP = ['finish_reason', 'stop_reason', 'stopReason', 'done_reason', 'finishReason'];

function generationsOf(response) {
  return (response.generations ?? []).flat().filter((answer) => answer !== undefined && answer !== null);
}

/** Returns the messages of an answer; none if it is that of a model of texts. */
function messagesOf(response) {
  return generationsOf(response).flatMap(({ message }) => (message === undefined ? [] : [message]));
}

/** Returns `model`, `provider` and `stopReason`, as far as they are known. */
function about(response, metadata) {
  const known = messagesOf(response).map((message) => message.response_metadata);
  known.push(...generationsOf(response).map(({ generationInfo }) => generationInfo), response.llmOutput);
  const found = {
    model: first(known, MODEL) ?? first([metadata], ['ls_model_name']),
    provider: first(known, PROVIDER) ?? first([metadata], ['ls_provider']),
    stopReason: first(known, STOP),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** Returns the tokens of the request, `input` without the cached ones; undefined if the model does not say. */
function usage(response) {
  const used = messagesOf(response).map((message) => message.usage_metadata).find((tokens) => tokens);
  if (used) return ofMessage(used);
  const tokens = response.llmOutput?.tokenUsage;
  return tokens?.promptTokens === undefined && tokens?.completionTokens === undefined ? undefined : ofOutput(tokens);
}

function ofMessage(used) {
  const ofInput = used.input_token_details ?? {};
  const hour = count(ofInput.ephemeral_1h_input_tokens);
  const read = count(ofInput.cache_read);
  const written = count(ofInput.cache_creation) || hour + count(ofInput.ephemeral_5m_input_tokens);
  return {
    input: Math.max(count(used.input_tokens) - read - written, 0),
    output: count(used.output_tokens),
    cacheRead: read,
    cacheWrite: written,
    reasoning: count(used.output_token_details?.reasoning),
    ...(hour > 0 ? { cacheWrite1h: hour } : {}),
  };
}

function ofOutput(used) {
  return { input: count(used.promptTokens), output: count(used.completionTokens), cacheRead: 0, cacheWrite: 0, reasoning: 0 };
}

function first(known, names) {
  for (const one of known) {
    for (const name of names) {
      if (typeof one?.[name] === 'string' && one[name] !== '') return one[name];
    }
  }
  return undefined;
}

function count(value) {
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

module.exports = { about, generationsOf, messagesOf, usage };
