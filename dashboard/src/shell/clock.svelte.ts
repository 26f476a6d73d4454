// One clock for everything that says how long ago: the service's, since what is shown bears its times.

class Clock {
  /** The time by this browser's clock. */
  own = $state(Date.now());
  /** How far the service's clock is ahead of it. */
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
