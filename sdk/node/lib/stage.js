// SPDX-License-Identifier: Apache-2.0
// One attempt of a stage, as the function that does it sees it, and what came of it.

import { Unavailable, WeftError } from './errors.js';
import { CODE_CHARS_MAX, MESSAGE_CHARS_MAX, cut } from './outbox.js';

const NO_WORDS = 'it has no words';
const TIMER_MS_MAX = 0x7fffffff;

/**
 * Thrown by a stage's function, it says how the attempt failed. `final`: another attempt would fail again, so there is
 * none.
 */
export class Failed extends WeftError {
  constructor(message, { code = 'failed', final = false } = {}) {
    super(code, message);
    this.final = final;
  }
}

/** What somebody says of himself. Some errors throw another one when they are asked. */
function wordsOf(ask) {
  try {
    const said = ask();
    return said === undefined ? undefined : String(said);
  } catch {
    return NO_WORDS;
  }
}

/** As the API has it: of a text, a Failed, any other error, or { code, message }. */
function errorOf(error) {
  const given = error && typeof error === 'object' && !(error instanceof Error);
  const code = wordsOf(() => (given || error instanceof WeftError ? error.code : error?.name ?? 'failed'));
  const message = wordsOf(() => (given ? error.message : error?.message ?? error));
  return { code: code && cut(code, CODE_CHARS_MAX), message: message && cut(message, MESSAGE_CHARS_MAX) };
}

const notPlain = (key, value) => {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no JSON`);
  return value;
};

/** The value as JSON has it; throws a TypeError where it has none. */
const plain = (value) => JSON.parse(JSON.stringify(value ?? null, notPlain));
const parsed = (text) => (text ? JSON.parse(text) : null);
const seconds = (told) => (told ? Number(told.seconds ?? 0) + (told.nanos ?? 0) / 1e9 : null);

/**
 * What the function of a stage is given. `token` is never used again: take it as the idempotency key of whatever is done
 * outside.
 */
export class Context {
  #client;
  #updates = new Map();
  #abort = new AbortController();
  #timer;

  constructor(request, mode, client) {
    this.#client = client;
    this.token = request.token;
    this.run = request.run;
    this.task = request.task;
    this.name = request.name;
    this.type = request.type;
    this.attempt = Number(request.attempt ?? 1);
    this.mode = mode;
    this.args = parsed(request.args);
    this.checks = (request.checks ?? []).map(({ name, kind = '', options, goal = 'FINAL' }) => ({
      name,
      kind,
      options: parsed(options),
      goal,
    }));
    /** Seconds since 1970, or null. */
    this.deadline = seconds(request.deadline);
    /** Progress was promised so often, in seconds. */
    this.progressEvery = seconds(request.progress_every);
    this.callback = request.callback ?? '';
    /** Aborted when it is cancelled, past its deadline, or somebody else has it: end soon. */
    this.signal = this.#abort.signal;
    if (this.deadline !== null) this.#waitForDeadline();
  }

  /** A timer takes 24 days at most, and may be a moment early. */
  #waitForDeadline() {
    const late = () => (this.left() > 0 ? this.#waitForDeadline() : this.cancel('its deadline has passed'));
    this.#timer = setTimeout(late, Math.min(TIMER_MS_MAX, this.left() * 1000)).unref();
  }

  /** Seconds until the deadline; Infinity where there is none. */
  left() {
    return this.deadline === null ? Infinity : Math.max(0, this.deadline - Date.now() / 1000);
  }

  /** Tell how far it is. A server that is away does not hear it, and nothing else happens. */
  async progress(percent, message, details) {
    const item = { token: this.token };
    if (percent !== undefined) item.percent = Math.trunc(percent);
    if (message !== undefined) item.message = cut(message, MESSAGE_CHARS_MAX);
    if (details !== undefined && details !== null) item.details = plain(details);
    try {
      const [answer] = await this.#client.renew([item]);
      if (answer.code !== 'OK') this.cancel(answer.message ?? answer.code);
      else if (answer.stop) this.cancel('the stage is cancelled');
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
  }

  /**
   * What the stage found out about a check; told with its end, all at once. `failure`: a text, an error, or { code, message }.
   * Said twice, the last one counts.
   */
  check(name, { data, failure, finalize = true } = {}) {
    const update = { check: name, data: plain(data), finalize: Boolean(finalize) };
    if (failure !== undefined && failure !== null) update.failure = errorOf(failure);
    this.#updates.set(name, update);
  }

  cancel(reason) {
    if (!this.signal.aborted) this.#abort.abort(new Error(reason));
  }

  /** Do the work; its end, as the API has it. */
  async report(work) {
    let told;
    try {
      told = { outcome: 'succeeded', result: plain(await work(this)) };
    } catch (error) {
      told = { outcome: this.signal.aborted ? 'cancelled' : 'failed', error: errorOf(error) };
      if (told.outcome === 'failed' && error instanceof Failed && error.final) told.final = true;
    }
    clearTimeout(this.#timer);
    if (this.#updates.size) told.checks = [...this.#updates.values()];
    return told;
  }
}
