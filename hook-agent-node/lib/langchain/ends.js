'use strict';
// How a run ended that threw an error.

const STOPS = new Set(['AbortError', 'ModelAbortError']);

/** Whether a graph waits for input (`interrupt()`). */
function isPause(error) {
  return error?.name === 'GraphInterrupt' || error?.name === 'NodeInterrupt';
}

/** Whether LangGraph only uses the error to leave a node, for example with a command to the graph above. */
function isLeft(error) {
  return error?.is_bubble_up === true || isPause(error);
}

/** Whether the run was stopped from outside: its reader went, or its signal was aborted. LangGraph's own error of it has no name. */
function isStop(error) {
  return STOPS.has(error?.name) || (error?.name === 'Error' && error.message === 'Abort');
}

/** Returns the status of the run, and the error if it is one. */
function endsOf(error) {
  if (isPause(error)) return { status: 'paused' };
  if (isLeft(error)) return { status: 'ok' };
  if (isStop(error)) return { status: 'interrupted' };
  return { status: 'error', error: String(error?.message ?? error), errorType: error?.name ?? typeof error };
}

/** Returns what a graph that waits asks for. */
function interruptsOf(error) {
  return isPause(error) ? valuesOf(error.interrupts) : [];
}

/** Returns the outputs of a graph, and what it asks for if it waits. */
function withoutInterrupts(outputs) {
  if (typeof outputs !== 'object' || outputs === null || !('__interrupt__' in outputs)) return { state: outputs, interrupts: [] };
  const { __interrupt__: interrupts, ...state } = outputs;
  return { state, interrupts: valuesOf(interrupts) };
}

function valuesOf(interrupts) {
  return (interrupts ?? []).map((one) => one?.value ?? one);
}

module.exports = { endsOf, interruptsOf, isPause, isStop, withoutInterrupts };
