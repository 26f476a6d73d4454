'use strict';
// The callback handler: makes a record of each thing that LangChain tells.

const { about, generationsOf, messagesOf, usage } = require('./answers.js');
const { BaseCallbackHandler } = require('./core.js');
const { Conversation, messagesIn, placeOf } = require('./conversation.js');
const { endsOf, interruptsOf, isPause, isStop, withoutInterrupts } = require('./ends.js');
const { Runs } = require('./runs.js');
const { State, documentOf } = require('./state.js');
const { Writer } = require('./writer.js');

const HIDDEN = 'langsmith:hidden';

class Recorder extends BaseCallbackHandler {
  name = 'hook_agent_recorder';
  lc_namespace = ['hook_agent', 'langchain'];
  /** LangChain waits for the calls, which only queue, so that records are in their order. */
  awaitHandlers = true;
  #runs = new Runs();
  #conversation = new Conversation();
  #state = new State((id) => this.#conversation.isKnown(id));
  #writer;

  constructor(agent) {
    super();
    this.agent = agent;
    this.#writer = new Writer(agent);
  }

  /** LangChain copies its configuration; runs that have started must still belong to this recorder. */
  copy() {
    return this;
  }

  handleChainStart(chain, inputs, runId, parentRunId, tags, metadata, _, runName) {
    const name = nameOf(chain, runName);
    const node = metadata?.langgraph_node;
    const isHidden = tags?.includes(HIDDEN) || name.startsWith('__');
    const isStep = node === undefined || (node === name && !isHidden);
    const run = this.#runs.begin(name, runId, parentRunId, metadata, { kind: 'step', isRecorded: isStep });
    // A chain in a node may be a graph: that shows when the first of its nodes begins.
    run.inputs = inputs;
    if (!isStep) return;
    const graph = this.#runs.get(parentRunId);
    if (graph !== undefined && !graph.isRecorded && node !== undefined) {
      graph.isRecorded = true;
      run.parent = graph.run;
      run.fields.parentRun = graph.run;
      this.#stepStarted(graph);
    }
    this.#stepStarted(run);
  }

  handleChainEnd(outputs, runId) {
    const run = this.#runs.end(runId);
    if (run === undefined || !run.isRecorded) return;
    const { state, interrupts } = withoutInterrupts(outputs);
    const end = { status: run.isPaused || interrupts.length > 0 ? 'paused' : 'ok' };
    if (interrupts.length > 0) end.interrupts = this.#state.of(interrupts);
    this.#writer.stepEnded(run, { ...end, outputs: this.#state.of(state) });
    if (!run.isRoot) return;
    for (const messages of messagesIn(state)) this.#said(run, messages, true);
  }

  handleChainError(error, runId) {
    const run = this.#runs.end(runId);
    if (run !== undefined) this.#stepFailed(run, error);
  }

  handleChatModelStart(model, conversations, runId, parentRunId, _, __, metadata, runName) {
    const run = this.#runs.begin(nameOf(model, runName), runId, parentRunId, metadata, { kind: 'model' });
    for (const messages of conversations) {
      run.asked = placeOf(messages);
      this.#said(run, messages, false);
    }
  }

  handleLLMStart(model, prompts, runId, parentRunId, _, __, metadata, runName) {
    const run = this.#runs.begin(nameOf(model, runName), runId, parentRunId, metadata, { kind: 'model' });
    prompts.forEach((prompt, at) => this.#writer.prompt(run, at, prompt));
  }

  handleLLMEnd(response, runId, _, __, extra) {
    const run = this.#runs.end(runId);
    if (run !== undefined) this.#answered(run, response, {}, extra?.cached === true);
  }

  handleLLMError(error, runId) {
    const run = this.#runs.end(runId);
    if (run !== undefined) this.#modelFailed(run, error);
  }

  handleToolStart(tool, input, runId, parentRunId, _, metadata, runName, toolCallId) {
    const run = this.#runs.begin(nameOf(tool, runName), runId, parentRunId, metadata, { kind: 'call' });
    if (toolCallId) this.#conversation.hasResult(toolCallId);
    this.#writer.called(run, inputOf(input), toolCallId);
  }

  handleToolEnd(output, runId) {
    const run = this.#runs.end(runId);
    if (run === undefined) return;
    const isMessage = typeof output?.tool_call_id === 'string';
    if (isMessage) this.#conversation.hasResult(output.tool_call_id);
    const status = output?.status === 'error' ? 'error' : 'ok';
    this.#writer.returned(run, this.#state.of(isMessage ? output.content : output), { status });
  }

  handleToolError(error, runId) {
    const run = this.#runs.end(runId);
    if (run !== undefined) this.#callFailed(run, error);
  }

  handleRetrieverStart(retriever, query, runId, parentRunId, _, metadata, runName) {
    const run = this.#runs.begin(nameOf(retriever, runName), runId, parentRunId, metadata, { kind: 'call' });
    this.#writer.called(run, { query });
  }

  handleRetrieverEnd(documents, runId) {
    const run = this.#runs.end(runId);
    if (run !== undefined) this.#writer.returned(run, documents.map(documentOf), { status: 'ok' });
  }

  handleRetrieverError(error, runId) {
    const run = this.#runs.end(runId);
    if (run !== undefined) this.#callFailed(run, error);
  }

  /** Records the runs that have not ended as interrupted: LangChain.js does not tell when the reader of a stream goes. */
  endOpenRuns() {
    const stop = new DOMException('The run was abandoned.', 'AbortError');
    const ends = { step: this.#stepFailed, model: this.#modelFailed, call: this.#callFailed };
    for (const run of this.#runs.open()) {
      this.#runs.end(run.run);
      ends[run.kind].call(this, run, stop);
    }
  }

  #stepStarted(run) {
    this.#writer.stepStarted(run, this.#state.of(run.inputs));
    run.inputs = undefined;
  }

  /** Records the messages of a conversation that are new. */
  #said(run, messages, isEnd) {
    for (const { message, name } of this.#conversation.news(run.root, messages, isEnd)) {
      this.#writer.message(run, message, name, messages);
    }
  }

  /** Records an answer and what it cost; one of LangChain's cache costs nothing. */
  #answered(run, response, stop, isCached) {
    const facts = { ...about(response, run.metadata), ...stop };
    const messages = messagesOf(response);
    const before = messages.map((message) => this.#conversation.answered(run.run, run.root, run.asked, message));
    const isRepeated = before.some((id) => id !== undefined);
    if (messages.length > 0) this.#writer.answers(run, messages, facts, isRepeated);
    else this.#writer.texts(run, generationsOf(response).map(({ text }) => text), facts);
    const used = isCached ? undefined : usage(response);
    if (used !== undefined) this.#writer.used(run, messages[0]?.id ?? run.run, { ...facts, ...used }, isRepeated);
  }

  /** A model has failed, or was stopped; what it had answered so far may be known. */
  #modelFailed(run, error) {
    const isStopped = isStop(error);
    const message = error?.partialOutput;
    const stop = isStopped ? { stopReason: 'interrupted' } : {};
    if (message !== undefined) this.#answered(run, { generations: [[{ text: message.text, message }]] }, stop, false);
    if (!isStopped) this.#writer.failed(run, error);
    else if (run.isRoot) this.#writer.stopped(run);
  }

  /** A chain has failed, waits for input, was stopped, or LangGraph leaves it on its way. */
  #stepFailed(run, error) {
    const root = this.#runs.get(run.root);
    if (isPause(error) && root !== undefined) root.isPaused = true;
    if (run.isRecorded) this.#writer.stepEnded(run, this.#ends(error));
    if (run.isRoot && isStop(error)) this.#writer.stopped(run);
  }

  /** A call that waits for input goes no further: after the pause, LangGraph calls the tool again. */
  #callFailed(run, error) {
    const end = this.#ends(error);
    if (end.status === 'paused') end.status = 'interrupted';
    this.#writer.returned(run, null, end);
  }

  #ends(error) {
    const asked = interruptsOf(error);
    return { ...endsOf(error), ...(asked.length > 0 ? { interrupts: this.#state.of(asked) } : {}) };
  }
}

function nameOf(serialized, runName) {
  return String(runName ?? serialized?.name ?? serialized?.id?.at(-1) ?? 'unknown');
}

/** Returns a tool's input, which LangChain gives as JSON text unless it is a text. */
function inputOf(text) {
  try {
    const input = JSON.parse(text);
    return typeof input === 'object' ? input : text;
  } catch {
    return text; // It is a text.
  }
}

module.exports = { Recorder };
