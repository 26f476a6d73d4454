'use strict';

const REMEMBERED = 10_000;

/** Remembers names with a value each, and forgets the oldest beyond 10,000. */
class Memory {
  #known = new Map();

  get(name) {
    return this.#known.get(name);
  }

  /** Remembers a name, and returns the value that it had before, which it keeps. */
  add(name, value = '') {
    const before = this.#known.get(name);
    this.#known.delete(name);
    this.#known.set(name, before ?? value);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.keys().next().value);
    return before;
  }
}

module.exports = { Memory };
