'use strict';

/** The error of a failed call; `code` is a stable word for programs. */
class HookAgentError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.code = code;
  }

  get name() {
    return 'HookAgentError';
  }
}

module.exports = { HookAgentError };
