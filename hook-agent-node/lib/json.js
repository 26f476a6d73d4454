'use strict';
// From a value to the JSON text that is handed over. What JSON cannot say is an error, not a silent `null`.

const { HookAgentError } = require('./error.js');

function toJson(value, call) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw refusal(call, cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (text === undefined) throw refusal(call, `${typeof value} is no JSON`);
  // NaN and the infinities become `null`, so only a text with one is worth a second look.
  if (text.includes('null') && mayHideNumber(value, 0)) refuseHiddenNumber(value, call);
  return text;
}

/** Quick, and right when it says no. */
function mayHideNumber(value, depth) {
  if (typeof value === 'number') return !Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return false;
  if (typeof value.toJSON === 'function' || value instanceof Number || depth === 100) return true;
  for (const key in value) {
    if (mayHideNumber(value[key], depth + 1)) return true;
  }
  return false;
}

function refuseHiddenNumber(value, call) {
  JSON.stringify(value, (key, member) => {
    const number = member instanceof Number ? Number(member) : member;
    if (typeof number !== 'number' || Number.isFinite(number)) return member;
    throw refusal(call, `${number} at \`${key}\` is no JSON`);
  });
}

/** @param {unknown} [cause] */
function refusal(call, reason, cause) {
  return new HookAgentError('invalid_json', `\`${call}\` needs a JSON object: ${reason}`, { cause });
}

module.exports = { toJson };
