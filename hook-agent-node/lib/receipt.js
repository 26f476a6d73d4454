'use strict';
// The return value of a call: a promise that requests its answer only when a caller wants it.
//
// Most calls are never awaited. They cost no subscription, and a failure that no caller waits for is not an
// unhandled rejection: it is counted in `stats()`.

const replies = require('./reply_queue.js');

let functions;
const capture = (resolve, reject) => {
  functions = { resolve, reject };
};
const ignore = () => {};

/** @extends {Promise<any>} */
class Receipt extends Promise {
  #functions;
  #begin;
  #state = 'idle';

  /** `begin(id)` makes the request; its answer arrives in the reply queue under this id. */
  constructor(begin) {
    super(capture);
    this.#functions = functions;
    this.#begin = begin;
  }

  /** Returns a receipt whose request is made immediately. */
  static begun(begin) {
    const receipt = new Receipt(begin);
    receipt.#request();
    return receipt;
  }

  /** Returns a receipt of a call that has already failed. */
  static failed(error) {
    const receipt = new Receipt();
    receipt.#settle(error);
    return receipt;
  }

  /** Makes `then` return an ordinary promise. */
  static get [Symbol.species]() {
    return Promise;
  }

  then(onFulfilled, onRejected) {
    if (this.#state === 'idle') this.#request();
    if (this.#state === 'requested') {
      this.#state = 'held';
      replies.hold();
    }
    return super.then(onFulfilled, onRejected);
  }

  #request() {
    this.#state = 'requested';
    const id = replies.expect((error, answer) => this.#settle(error, answer));
    try {
      this.#begin(id);
    } catch (error) {
      replies.forget(id);
      this.#settle(error);
    }
  }

  #settle(error, answer) {
    if (this.#state === 'held') replies.release();
    this.#state = 'settled';
    if (error === undefined) {
      this.#functions.resolve(answer);
      return;
    }
    this.#functions.reject(error);
    super.then(undefined, ignore);
  }
}

module.exports = { Receipt };
