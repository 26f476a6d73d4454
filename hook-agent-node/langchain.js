'use strict';
// `hook-agent/langchain`: records what chains and graphs of LangChain.js and LangGraph.js do.

const { Recorder } = require('./lib/langchain/recorder.js');

module.exports = { Recorder, default: { Recorder } };
Object.defineProperty(module.exports, '__esModule', { value: true });
