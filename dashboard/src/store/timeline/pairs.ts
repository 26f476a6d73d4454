// Calls and their results, paired by the id that both bear: a result stands with its call.

import type { SessionEvent } from '../../wire/event';
import { number, text, type Fields } from '../../wire/json';
import { isErrorRecord } from '../error';
import { metricOf } from '../fold/metadata';

export interface Result {
  /** The result's record number in the session. */
  index: number;
  /** As RECORDS has it: `ok`, `error`, `denied`, … */
  status: string;
  isError: boolean;
  exitCode: number | null;
  /** How long the call took: as the source measured it, or else from the call's time to the result's. */
  durationMs: number | null;
  isMeasured: boolean;
}

interface Pair {
  /** Record numbers of the calls with this id: one, unless two recorders told of it. */
  calls: number[];
  calledAt: number;
  results: (Result & { at: number })[];
}

const RESULTS = new Set(['tool_result', 'tool_error']);

/** What joins a call and its result; '' if a record is neither. */
export function callIdOf({ type, data }: SessionEvent): string {
  if (type !== 'action' && type !== 'response') return '';
  return text(data, 'callId') || text(data, 'toolUseId');
}

export function isResult(event: SessionEvent): boolean {
  return RESULTS.has(text(event.data, 'type')) && callIdOf(event) !== '';
}

export function isCall(event: SessionEvent): boolean {
  return event.type === 'action' && callIdOf(event) !== '' && metricOf(text(event.data, 'type')) !== null;
}

/** The pairs among the records that were noted, in whichever order they came. */
export class Pairs {
  #pairs = new Map<string, Pair>();
  /** The call of each record that is a result or a call: the first one with its id. */
  #idOf = new Map<number, string>();

  /** Answers the record numbers of results that have their call only now. */
  note(index: number, event: SessionEvent): number[] {
    const result = isResult(event);
    if (this.#idOf.has(index) || (!result && !isCall(event))) return [];
    const id = callIdOf(event);
    const pair = this.#pairs.get(id) ?? { calls: [], calledAt: NaN, results: [] };
    this.#pairs.set(id, pair);
    this.#idOf.set(index, id);
    if (result) {
      pair.results.push(resultOf(index, event.data, Date.parse(event.timestamp)));
      pair.results.sort((a, b) => a.index - b.index);
      return [];
    }
    pair.calls.push(index);
    pair.calls.sort((a, b) => a - b);
    if (pair.calls[0] === index) pair.calledAt = Date.parse(event.timestamp);
    return pair.calls.length === 1 ? pair.results.map((told) => told.index) : [];
  }

  /** The call that a result belongs to; null if there is none, or if the record is no result. */
  callOf(result: number): number | null {
    const pair = this.#pairOf(result);
    return pair && !pair.calls.includes(result) ? (pair.calls[0] ?? null) : null;
  }

  /** The results of a call; null if the record is no call. Of two records of one call the first has them. */
  resultsOf(call: number): Result[] | null {
    const pair = this.#pairOf(call);
    if (!pair || pair.calls[0] !== call) return null;
    return pair.results.map((result) => {
      const between = result.at - pair.calledAt;
      // Records that were stamped together tell nothing of the time between.
      return result.durationMs !== null || !(between > 0) ? result : { ...result, durationMs: between };
    });
  }

  /** Record numbers of results whose call was not noted. */
  get orphans(): number[] {
    return [...this.#pairs.values()].flatMap(({ calls, results }) =>
      calls.length === 0 ? results.map(({ index }) => index) : [],
    );
  }

  #pairOf(index: number): Pair | undefined {
    const id = this.#idOf.get(index);
    return id === undefined ? undefined : this.#pairs.get(id);
  }
}

function resultOf(index: number, data: Fields, at: number): Result & { at: number } {
  const isError = isErrorRecord(data);
  const durationMs = number(data, 'durationMs') ?? null;
  return {
    index,
    at,
    isError,
    status: text(data, 'status') || (isError ? 'error' : data['success'] === true ? 'ok' : 'done'),
    exitCode: number(data, 'exitCode') ?? null,
    durationMs,
    isMeasured: durationMs !== null,
  };
}
