'use strict';
// The runs that are under way: which one is in which, and which of them are steps.

const { performance } = require('node:perf_hooks');

/** Metadata that frameworks add to the caller's. */
const OF_THE_FRAMEWORK = /^(langgraph_|ls_|lc_|checkpoint|__|versions)/;
/** A run that never ends is forgotten after so many others. */
const REMEMBERED = 10_000;

/** A chain, model, tool or retriever at work. */
class Run {
  isPaused = false;
  /** The input of a chain of which it is not known yet whether it is a graph. */
  inputs;
  /** Of a model: the place in the conversation after what it was asked. */
  asked = '';
  timestamp = new Date().toISOString();
  #started = performance.now();

  /** `parent` is the nearest run around it that is recorded, `root` the outermost run; `kind` is `step`, `model` or `call`. */
  constructor(name, run, parent, root, metadata, { kind, isRecorded = true }) {
    Object.assign(this, { name, run, parent, root, metadata, kind, isRecorded });
    this.fields = fieldsOf(this);
  }

  get isRoot() {
    return this.root === this.run;
  }

  /** How long it is at work. */
  millis() {
    return Math.round((performance.now() - this.#started) * 1000) / 1000;
  }
}

class Runs {
  #open = new Map();

  begin(name, run, around, metadata = {}, options = {}) {
    const parent = around === undefined ? undefined : this.#recorded(around);
    const root = this.#open.get(around)?.root ?? around ?? run;
    const begun = new Run(name, run, parent, root, metadata, options);
    this.#open.set(run, begun);
    if (this.#open.size > REMEMBERED) this.#open.delete(this.#open.keys().next().value);
    return begun;
  }

  get(run) {
    return this.#open.get(run);
  }

  /** Ends a run; returns undefined if it is not known. */
  end(run) {
    const found = this.#open.get(run);
    this.#open.delete(run);
    return found;
  }

  /** The runs that have begun and not ended, the innermost first. */
  open() {
    return [...this.#open.values()].reverse();
  }

  /** Returns this run, or the nearest one around it that is recorded. */
  #recorded(run) {
    let id = run;
    for (let found = this.#open.get(id); found !== undefined && !found.isRecorded && found.parent !== undefined; ) {
      id = found.parent;
      found = this.#open.get(id);
    }
    return id;
  }
}

/** The fields of each record of a run. */
function fieldsOf({ root, run, parent, metadata }) {
  const fields = { turnId: root, run };
  if (parent !== undefined) fields.parentRun = parent;
  if (metadata.langgraph_node !== undefined) fields.node = String(metadata.langgraph_node);
  const own = Object.entries(metadata).filter(([key]) => !OF_THE_FRAMEWORK.test(key));
  if (own.length > 0) fields.about = Object.fromEntries(own);
  return fields;
}

module.exports = { Runs };
