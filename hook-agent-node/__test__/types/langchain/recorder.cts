// Compiled with `tsc --strict`, never run: the recorder's types that CommonJS gets.
import hookAgent = require('hook-agent');
import langchain = require('hook-agent/langchain');

const recorder = new langchain.Recorder(hookAgent.default);
recorder.endOpenRuns();
