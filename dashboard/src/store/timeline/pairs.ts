// Pairs calls with their results by the id that both contain: a result is shown with its call.

import type { SessionEvent } from '../../wire/event';
import { number, text, type Fields } from '../../wire/json';
import { isErrorRecord } from '../error';
import { metricOf } from '../fold/metadata';

export interface Result {
  /** Record number of the result in the session. */
  index: number;
  /** Status as defined in RECORDS: `ok`, `error`, `denied`, … */
  status: string;
  isError: boolean;
  exitCode: number | null;
  /**
   * Duration of the call: as the source measured it, or else the time from the call's record to the result's.
   */
  durationMs: number | null;
  isMeasured: boolean;
}

interface Pair {
  /** Record numbers of the calls with this id: one, unless two recorders reported the call. */
  calls: number[];
  calledAt: number;
  results: (Result & { at: number })[];
}

const RESULTS = new Set(['tool_result', 'tool_error']);

/** The id that joins a call and its result; '' if the record is neither. */
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

/** The pairs among the noted records; records may be noted in any order. */
export class Pairs {
  #pairs = new Map<string, Pair>();
  /** The call id of each record that is a call or a result, by record number. */
  #idOf = new Map<number, string>();

  /** Notes a record. Returns the record numbers of results whose call has only now been found. */
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
    return pair.calls.length === 1 ? pair.results.map((result) => result.index) : [];
  }

  /** The call of a result; null if there is no call, or if the record is not a result. */
  callOf(result: number): number | null {
    const pair = this.#pairOf(result);
    return pair && !pair.calls.includes(result) ? (pair.calls[0] ?? null) : null;
  }

  /** The results of a call; null if the record is not one. If a call has two records, the first has them. */
  resultsOf(call: number): Result[] | null {
    const pair = this.#pairOf(call);
    if (!pair || pair.calls[0] !== call) return null;
    return pair.results.map((result) => {
      const between = result.at - pair.calledAt;
      // Records with the same timestamp say nothing about the time between them.
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
