// SPDX-License-Identifier: Apache-2.0
// A circuit breaker: after so many failures in a row nothing is tried for a while.
//
//   CLOSED --failures reach the limit--> OPEN --rest is over--> HALF_OPEN
//   HALF_OPEN --enough successes--> CLOSED, --a failure--> OPEN

export class Breaker {
  /** Times in seconds; `clock` gives seconds that only grow. */
  constructor({ failures = 5, rest = 60, successes = 3, clock = () => performance.now() / 1000 } = {}) {
    this.failuresMax = failures;
    this.rest = rest;
    this.successesNeeded = successes;
    this.clock = clock;
    this.state = 'CLOSED';
    this.failures = 0;
    this.successes = 0;
    this.openedAt = 0;
  }

  /** 0 where a call may be made, else the seconds until one may. */
  permit() {
    if (this.state !== 'OPEN') return 0;
    const left = this.openedAt + this.rest - this.clock();
    if (left > 0) return left;
    this.#halfOpen();
    return 0;
  }

  succeeded() {
    this.failures = 0;
    if (this.state === 'OPEN') this.#halfOpen(); // a probe, which did not ask
    if (this.state === 'HALF_OPEN' && ++this.successes >= this.successesNeeded) this.state = 'CLOSED';
  }

  failed() {
    this.failures++;
    if (this.state !== 'HALF_OPEN' && this.failures < this.failuresMax) return;
    this.state = 'OPEN';
    this.openedAt = this.clock();
  }

  #halfOpen() {
    this.state = 'HALF_OPEN';
    this.successes = 0;
  }
}

/** When a call that failed is made again: pauses in seconds, a share of each (`jitter`) random. */
export class Retry {
  constructor({ attempts = 4, base = 0.1, factor = 2, cap = 10, jitter = 0.2, random = Math.random } = {}) {
    if (!(attempts >= 1 && base >= 0 && factor >= 1 && cap >= base && jitter >= 0 && jitter <= 1))
      throw new RangeError('attempts >= 1, 0 <= base <= cap, factor >= 1 and 0 <= jitter <= 1');
    Object.assign(this, { attempts, base, factor, cap, jitter, random });
  }

  pause(failures, retryAfter = 0) {
    const plain = Math.min(this.cap, this.base * this.factor ** Math.min(failures - 1, 64));
    return Math.max(plain * (1 - this.jitter * this.random()), retryAfter || 0);
  }
}
