'use strict';
// Loads the part of LangChain that the recorder extends. It is an optional peer dependency.

function load() {
  try {
    return require('@langchain/core/callbacks/base');
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error('`hook-agent/langchain` needs LangChain: run `npm install @langchain/core`', { cause: error });
  }
}

module.exports = { BaseCallbackHandler: load().BaseCallbackHandler };
