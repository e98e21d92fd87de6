// SPDX-License-Identifier: Apache-2.0
// A worker: registers, heartbeats, claims, and reports what it has done, whatever the network does.
//
// While the server is away the worker goes on with what it holds. What has ended is kept (in memory, or in a file that
// outlives the process) and reported when the server is back.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { LeaseLost, Unavailable } from './errors.js';
import { CODE_CHARS_MAX, MESSAGE_CHARS_MAX, ONCE, Outbox, Reporter, cut } from './outbox.js';

const OUTBOX_MAX = 100000; // beyond so many unreported ends nothing is claimed
const ROOM_SECONDS = 0.1; // between two looks whether there is a free slot, and whether to stop
const NO_QUEUE = 'queue_not_found';
export const isOver = (error) => error.code === 'worker_lost' || error.code === 'worker_not_found';

/** The right to one task. */
export class Lease {
  #worker;
  #ended = false;
  #abort = new AbortController();

  constructor(worker, given) {
    const { task } = given;
    this.#worker = worker;
    this.token = given.token;
    this.id = task.id;
    this.queue = task.queue ?? '';
    this.payload = task.payload ?? null;
    this.attempt = task.attempt ?? 1;
    this.key = task.key;
    this.lost = false;
    /** Aborted when the task is cancelled or lost: end soon. */
    this.signal = this.#abort.signal;
  }

  get ended() {
    return this.#ended;
  }

  stop() {
    this.#abort.abort();
  }

  /** Tell how far it is. A server that is away does not hear it, and nothing else happens. */
  async progress(percent, message) {
    const item = { token: this.token };
    if (percent !== undefined) item.percent = Math.trunc(percent);
    if (message !== undefined) item.message = cut(message, MESSAGE_CHARS_MAX);
    try {
      const [answer] = await this.#worker.client.renew([item]);
      if (answer.code !== 'OK') this.#worker.lost(this);
      if (answer.stop) this.stop();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
    }
  }

  /** Throws a TypeError where the result is no JSON; it has not ended then. */
  complete(result = null) {
    this.#end({ outcome: 'succeeded', result });
  }

  fail(message, code = 'error') {
    this.#end({ outcome: 'failed', error: { code: cut(code, CODE_CHARS_MAX), message: cut(message, MESSAGE_CHARS_MAX) } });
  }

  cancelled(message = 'stopped as asked') {
    this.#end({ outcome: 'cancelled', error: { code: 'cancelled', message: cut(message, MESSAGE_CHARS_MAX) } });
  }

  /** Give it back unworked. */
  release() {
    this.#end({ release: true });
  }

  #end(result) {
    if (this.#ended) throw new Error(`task ${this.id} has been ended already`);
    // What cannot be sent is found here, where it was made, and not by the report.
    const item = JSON.parse(JSON.stringify({ token: this.token, ...result }));
    this.#ended = true;
    this.#worker.ended(this, item);
  }
}

/** One incarnation after the other of a worker with this name. */
export class Worker {
  #held = new Map();
  #asked = new Map(); // by queue: the claim that was not answered
  #outbox;
  #joining = null; // one registration at a time, and no claim begins
  #joins = 0; // registrations begun
  #closed = false;
  #beatTimer;
  #reporter;
  #stopped = new AbortController();
  #every;

  constructor(client, { name, slots = 100, ttl = 60, outbox, labels = {}, metadata = {}, takeover = false, log = () => {} }) {
    Object.assign(this, { client, name, slots, ttl, labels, metadata, takeover, log });
    this.id = undefined; // of the incarnation
    this.local = false; // the server is away, and what ends is kept
    this.stopping = false;
    this.#outbox = new Outbox(outbox, (text) => this.log(text));
    this.#reporter = new Reporter(client, this.#outbox, (items) => this.#told(items), (text) => this.log(text));
    this.#every = ttl / 5;
  }

  async start() {
    await this.#register();
    this.#scheduleBeat();
    this.#reporter.start();
    return this;
  }

  /** Claim nothing more; `run` ends when what it holds has ended. */
  stop() {
    this.stopping = true;
    this.#stopped.abort();
  }

  /** Report what has ended, give back what has not, and leave. */
  async close() {
    this.stop();
    for (const lease of [...this.#held.values()]) if (!lease.ended) lease.release();
    this.#closed = true;
    clearTimeout(this.#beatTimer);
    await this.#reporter.close();
    try {
      await this.client.call('POST', `/v1/workers/${this.id}:deregister`, {}, { retry: ONCE });
    } catch (error) {
      this.log(`the worker could not take its leave: ${error.message}`);
    }
  }

  async #register() {
    this.#joins++;
    const reply = await this.client.call(
      'POST',
      '/v1/workers:register',
      {
        name: this.name,
        slots: this.slots,
        ttl: `${this.ttl}s`,
        labels: this.labels,
        metadata: this.metadata,
        host: hostname(),
        pid: process.pid,
        takeover: this.takeover || this.id !== undefined,
        tokens: [...this.#held.keys(), ...this.#outbox.items.map((i) => i.token).filter((t) => !this.#held.has(t))],
      },
      { once: randomUUID() },
    );
    this.id = reply.worker.id;
    this.#asked.clear();
    this.#every = Number.parseFloat(reply.heartbeat_every) || this.#every;
    for (const token of reply.lost ?? []) this.#forget(token);
  }

  #scheduleBeat() {
    // A process that has nothing else to do is not kept alive by its heartbeat.
    this.#beatTimer = setTimeout(() => this.#beat(), this.#every * 1000).unref();
  }

  async #beat() {
    const was = this.id;
    try {
      const options = { retry: ONCE, probe: true, timeout: Math.max(1, this.ttl / 5) };
      const reply = await this.client.call('POST', `/v1/workers/${this.id}:heartbeat`, {}, options);
      for (const token of reply.stop ?? []) this.#held.get(token)?.stop();
      if (this.local) {
        this.log('the server is back');
        this.#reporter.wake();
      }
      this.local = false;
    } catch (error) {
      await this.#beatFailed(error, was);
    }
    if (!this.#closed) this.#scheduleBeat();
  }

  async #beatFailed(error, was) {
    if (error instanceof Unavailable) {
      if (!this.local) this.log(`the server is away, working on without it: ${error.message}`);
      this.local = true;
      return;
    }
    this.log(`the heartbeat was refused: ${error.message}`);
    if (isOver(error)) await this.#again(was);
  }

  /** This incarnation is over, or shall be; the next one asks for what the last one held. */
  async #again(was) {
    if (this.id !== was) return; // somebody else found out before
    this.#joining ??= this.#register().finally(() => {
      this.#joining = null;
    });
    try {
      await this.#joining;
    } catch (error) {
      this.log(`the worker could not register again: ${error.message}`);
    }
  }

  /** Called by a lease that the server does not know any more. */
  lost(lease) {
    lease.lost = true;
    lease.stop();
    this.#forget(lease.token);
  }

  #forget(token) {
    const lease = this.#held.get(token);
    this.#held.delete(token);
    if (!lease) return;
    lease.lost = true;
    lease.stop();
  }

  /** Called by a lease. Returns at once; the server is told in the background. */
  ended(lease, item) {
    if (lease.lost) {
      this.#held.delete(lease.token);
      throw new LeaseLost(lease.id);
    }
    this.#reporter.add(item);
  }

  #told(items) {
    for (const item of items) this.#held.delete(item.token);
  }

  /**
   * Leases, at most as many as there are free slots; an empty list where there is nothing. A claim whose answer was lost may
   * have been granted, and the heartbeat would keep those leases for ever: so the next claim of the queue is the same once
   * more, and gives them. Where that brings nothing, an earlier try may still wait at a server and be granted later: the
   * worker registers again, which fences it.
   */
  async claim(queue, { max = 1, wait = 0 } = {}) {
    while (this.#joining) await this.#joining.catch(() => {});
    const free = this.slots - this.#held.size;
    if (this.stopping || free < 1 || this.#outbox.items.length >= OUTBOX_MAX) return [];
    const before = this.#asked.get(queue);
    const asked = before ?? { max: Math.min(max, free), wait, once: randomUUID() };
    this.#asked.delete(queue);
    const was = this.id;
    const joins = this.#joins;
    let retried = before !== undefined;
    const again = () => {
      retried = true;
    };
    let given;
    try {
      given = await this.client.claim(queue, was, { ...asked, again });
    } catch (error) {
      if (error instanceof Unavailable) {
        if (this.id === was) this.#asked.set(queue, asked);
      } else if (retried || isOver(error)) {
        await this.#fence(queue, asked, was);
      }
      if (!isOver(error)) throw error;
      return [];
    }
    if (retried && !given.length) await this.#fence(queue, asked, was);
    const leases = given.map((g) => new Lease(this, g));
    for (const lease of leases) this.#held.set(lease.token, lease);
    if (joins === this.#joins) return leases;
    for (const lease of leases) lease.release(); // the new incarnation did not ask for it
    await this.#joining?.catch(() => {});
    return [];
  }

  /**
   * The claim brought nothing, and an earlier try of it may still be granted: not to the next incarnation. Where there is none
   * yet, the next claim of the queue is this one.
   */
  async #fence(queue, asked, was) {
    await this.#again(was);
    if (this.id === was) this.#asked.set(queue, asked);
  }

  /**
   * Claim and handle until stop() (or, if wished, until there is nothing). `handle(lease)` gives the result, or throws, which
   * fails the task alone. The leases of a batch are handled side by side. A queue that is not there may be made later: it is
   * asked for again, with pauses, and the log says so once. Who goes on until there is nothing hears the refusal instead.
   */
  async run(queue, handle, { batch = Math.min(this.slots, 10), wait = 5, untilEmpty = false } = {}) {
    for (let failures = 0, missing = 0; !this.stopping; ) {
      const was = this.id;
      let leases;
      try {
        leases = await this.claim(queue, { max: batch, wait });
        failures = missing = 0;
      } catch (error) {
        if (error instanceof Unavailable) {
          await this.#rest(this.client.retry.pause(++failures, error.retryAfter));
        } else if (error.code === NO_QUEUE && !untilEmpty) {
          if (++missing === 1) this.log(`${error.message}; it is asked for until it is there`);
          await this.#rest(this.client.retry.pause(missing));
        } else {
          throw error;
        }
        continue;
      }
      if (!leases.length && untilEmpty && this.id === was && !this.#isFull()) break;
      // What has ended holds its slot until the server knows; and nobody asks again and again without a pause.
      if (!leases.length && (wait <= 0 || this.#isFull())) await sleep(ROOM_SECONDS * 1000);
      if (this.stopping) for (const lease of leases.splice(0)) lease.release();
      await Promise.all(leases.map((lease) => this.handle(lease, handle)));
    }
    await this.drain();
  }

  /** Pause, or until it is to stop. */
  async #rest(seconds) {
    await sleep(seconds * 1000, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }

  #isFull() {
    return this.#held.size >= this.slots || this.#outbox.items.length >= OUTBOX_MAX;
  }

  /** Handle one lease: complete it with what `handle` gives, or fail it with what it throws. */
  async handle(lease, handle) {
    try {
      const result = await handle(lease);
      if (!lease.ended) lease.complete(result ?? null);
    } catch (error) {
      if (error instanceof LeaseLost) this.log(error.message);
      else if (lease.lost) this.log(`task ${lease.id} was given to another worker`);
      else if (lease.ended) throw error;
      else if (lease.signal.aborted) lease.cancelled(`stopped: ${error.message}`);
      else lease.fail(error.message ?? String(error), error.name ?? 'error');
    }
  }

  /** Wait until what has ended is known to the server. */
  async drain() {
    await this.#reporter.drain();
  }
}
