'use strict';
// Applies the constructor's options over the environment variables. The addon knows what each one means.

const { HookAgentError } = require('./error.js');

const VARIABLES = {
  sessionId: 'SESSION_ID',
  serviceUrl: 'SESSION_SERVICE_URL',
  userId: 'SESSION_USER_ID',
  token: 'SESSION_TOKEN',
  spoolDir: 'HOOK_AGENT_SPOOL_DIR',
  spoolMaxBytes: 'HOOK_AGENT_SPOOL_MAX_BYTES',
  spoolMaxAge: 'HOOK_AGENT_SPOOL_MAX_AGE',
  spoolFull: 'HOOK_AGENT_SPOOL_FULL',
  redaction: 'HOOK_AGENT_REDACTION',
  redactionRules: 'HOOK_AGENT_REDACTION_RULES',
  blobs: 'HOOK_AGENT_BLOBS',
  blobThreshold: 'HOOK_AGENT_BLOB_THRESHOLD',
  connectTimeoutMs: 'HOOK_AGENT_CONNECT_TIMEOUT_MS',
  answerTimeoutMs: 'HOOK_AGENT_ANSWER_TIMEOUT_MS',
};
/** Variables from which the default spool directory is derived. */
const PLACES = ['XDG_STATE_HOME', 'HOME'];

function settings(options) {
  const vars = {};
  for (const name of [...Object.values(VARIABLES), ...PLACES]) {
    if (process.env[name] !== undefined) vars[name] = process.env[name];
  }
  for (const [option, value] of Object.entries(options)) {
    const name = VARIABLES[option];
    if (name === undefined) throw new HookAgentError('invalid_config', `there is no option \`${option}\``);
    if (value !== undefined && value !== null) vars[name] = String(value);
  }
  return vars;
}

module.exports = { settings };
