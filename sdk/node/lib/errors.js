// SPDX-License-Identifier: Apache-2.0
// What can go wrong with a call. `code` is stable, `message` is a sentence for a person.

export class WeftError extends Error {
  constructor(code, message) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The server answered that it does not do this. */
export class Refused extends WeftError {
  constructor(code, message, status, details = []) {
    super(code, message);
    this.status = status;
    this.details = details;
  }
}

/** The server could not be asked, or cannot answer now: another try may do. */
export class Unavailable extends WeftError {
  constructor(code, message, retryAfter) {
    super(code, message);
    this.retryAfter = retryAfter; // seconds, where the server said so
  }
}

/** So many calls failed that none is made for a while. */
export class BreakerOpen extends Unavailable {
  constructor(seconds) {
    super('breaker_open', `the server has failed too often; the next try is in ${seconds.toFixed(1)} s`, seconds);
  }
}

/** The task was given to somebody else; what was done for it is reported by nobody. */
export class LeaseLost extends WeftError {
  constructor(id) {
    super('lease_lost', `task ${id} was given to another worker`);
  }
}
