// One clock for all relative times: the service's, because the times shown come from the service.

class Clock {
  /** The time on the browser's clock. */
  own = $state(Date.now());
  /** How far the service's clock is ahead of the browser's, in milliseconds. */
  #skew = $state(0);

  constructor() {
    setInterval(() => (this.own = Date.now()), 1000);
  }

  get now(): number {
    return this.own + this.#skew;
  }

  follow(skew: number): void {
    this.#skew = skew;
  }
}

export const clock = new Clock();
