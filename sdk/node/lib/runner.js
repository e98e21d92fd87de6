// SPDX-License-Identifier: Apache-2.0
// A runner: the server calls it (weft.v1.Runner, over gRPC) when a stage of a plan is ready.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { Unavailable } from './errors.js';
import { ONCE, Outbox, Reporter } from './outbox.js';
import { Context } from './stage.js';
import { isOver } from './worker.js';

const MODES = ['sync', 'async'];
// Ends are remembered, so that a token which comes again runs once: so many, and so much of them.
const FINISHED_MAX = 1000;
const FINISHED_CHARS_MAX = 32 << 20;
const SAY_SECONDS_MAX = 5; // to a server that may be away
const LEAVE_MS = 1000; // for answers that are on their way
const EVERYWHERE = new Set(['0.0.0.0', '[::]', '']);

/** This runner does not take the stage; the server tries another one. */
export class Refusal extends Error {}

/**
 * Serves the stages of some types. Each type is registered as a worker of that name (NAME/TYPE where there are several),
 * with slots of its own; 0: no limit.
 */
export class Runner {
  #offers = new Map(); // by type: what is registered
  #going = new Map(); // stages by token
  #finished = new Map(); // { stage, chars of its report }, likewise, the oldest first
  #finishedChars = 0;
  #outbox;
  #reporter;
  #server = null;
  #beatTimer;
  #closed = false;
  #rested = () => {}; // called when nothing goes on any more
  #stopped;
  #stop;
  #every;

  constructor(
    client,
    {
      name,
      slots = 10,
      listen = '127.0.0.1:0',
      address,
      ttl = 60,
      labels = {},
      metadata = {},
      version = '',
      takeover = false,
      credentials,
      log = () => {},
    },
  ) {
    Object.assign(this, { client, name, slots, listen, address, ttl, labels, metadata, version, takeover, credentials, log });
    this.local = false; // the server is away, and what ends is kept
    this.stopping = false;
    this.#stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
    this.#outbox = new Outbox(undefined, log);
    this.#reporter = new Reporter(client, this.#outbox, () => {}, log);
    this.#every = ttl / 5;
  }

  /**
   * The function that does stages of this type. It is given a Context; what it gives is the result, and what it throws the
   * failure (Failed says it in its own words). `mode`: 'sync' or 'async' alone; else both, as the stage wishes.
   */
  stage(type, work, { mode, slots = this.slots } = {}) {
    if (mode !== undefined && !MODES.includes(mode)) throw new RangeError(`"${mode}" is no mode; it is one of ${MODES}`);
    if (typeof type !== 'string' || !type) throw new TypeError('the type of a stage is a text that is not empty');
    const offer = { type, work, modes: mode ? [mode] : MODES, slots, busy: 0, id: undefined, joining: null };
    this.#offers.set(type, offer);
    return this;
  }

  async start() {
    const { startService } = await import('./service.js');
    if (!this.#offers.size) throw new TypeError('the runner has no stage; give it one with stage(TYPE, FUNCTION)');
    for (const offer of this.#offers.values())
      offer.name = this.#offers.size === 1 ? this.name : `${this.name}/${offer.type}`;
    const { server, port } = await startService(this, this.listen, this.credentials);
    this.#server = server;
    const given = this.address;
    this.address ||= this.#where(port);
    try {
      for (const offer of this.#offers.values()) await this.#register(offer);
    } catch (error) {
      await this.#leave(0);
      this.address = given;
      throw error;
    }
    this.#scheduleBeat();
    return this;
  }

  /** Start, work until stop() or SIGTERM or SIGINT, finish what goes on, and leave. */
  async serve({ patience = 60 } = {}) {
    const stop = () => this.stop();
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, stop);
    try {
      await this.start();
      await this.#stopped;
      await this.close({ patience });
    } finally {
      for (const signal of ['SIGTERM', 'SIGINT']) process.off(signal, stop);
    }
  }

  /** Take nothing more; serve() ends when what goes on has ended. */
  stop() {
    this.stopping = true;
    this.#stop();
  }

  /** Take nothing more, and wait for what goes on. True if all has ended. */
  async drain({ patience = 30 } = {}) {
    this.stop();
    for (const offer of this.#offers.values()) await this.#say(offer, 'drain');
    if (!this.#going.size) return true;
    const rested = new Promise((resolve) => {
      this.#rested = () => resolve(true);
    });
    const late = new AbortController();
    const over = sleep(patience * 1000, false, { signal: late.signal }).catch(() => false);
    const done = await Promise.race([rested, over]);
    late.abort();
    return done;
  }

  /**
   * Drain, report what has ended, and leave. What does not end in time is told to stop, and the server gives it to others.
   */
  async close({ patience = 30 } = {}) {
    if (!this.#server) return;
    if (!(await this.drain({ patience })))
      for (const stage of this.#going.values()) stage.context.cancel('the runner leaves');
    this.#closed = true;
    clearTimeout(this.#beatTimer);
    await this.#reporter.close();
    await this.#leave(LEAVE_MS);
  }

  #where(port) {
    const host = this.listen.slice(0, Math.max(0, this.listen.lastIndexOf(':')));
    return `${this.credentials ? 'https://' : ''}${EVERYWHERE.has(host) ? hostname() : host}:${port}`;
  }

  /** Calls have so long to end, then they are cut. */
  async #leave(graceMs) {
    for (const offer of this.#offers.values()) {
      if (offer.id === undefined) continue;
      await this.#say(offer, 'deregister');
      offer.id = undefined;
    }
    const server = this.#server;
    this.#server = null;
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    await new Promise((resolve) => server.tryShutdown(resolve));
    clearTimeout(timer);
  }

  async #say(offer, verb) {
    try {
      await this.client.call('POST', `/v1/workers/${offer.id}:${verb}`, {}, { retry: ONCE, timeout: SAY_SECONDS_MAX });
    } catch (error) {
      this.log(`${offer.name} could not ${verb}: ${error.message}`);
    }
  }

  #register(offer) {
    offer.joining ??= this.#join(offer).finally(() => {
      offer.joining = null;
    });
    return offer.joining;
  }

  async #join(offer) {
    const tokens = [...this.#going.values()].filter((s) => s.offer === offer).map((s) => s.context.token);
    const ended = this.#outbox.items.map((i) => i.token);
    const reply = await this.client.call(
      'POST',
      '/v1/workers:register',
      {
        name: offer.name,
        type: offer.type,
        address: this.address,
        modes: offer.modes,
        slots: offer.slots,
        ttl: `${this.ttl}s`,
        labels: this.labels,
        metadata: this.metadata,
        version: this.version,
        host: hostname(),
        pid: process.pid,
        takeover: this.takeover || offer.id !== undefined,
        tokens: [...new Set([...tokens, ...ended])],
      },
      { once: randomUUID() },
    );
    offer.id = reply.worker.id;
    this.#every = Math.min(this.#every, Number.parseFloat(reply.heartbeat_every) || this.#every);
    // The outbox has tokens of all types; what goes on is this one's, or not in the list.
    for (const token of reply.lost ?? []) if (tokens.includes(token)) this.cancel(token, 'it was given to another runner');
  }

  // Heartbeats.

  #scheduleBeat() {
    this.#beatTimer = setTimeout(() => this.#beat(), this.#every * 1000);
  }

  async #beat() {
    for (const offer of this.#offers.values()) await this.#beatOne(offer);
    if (!this.#closed) this.#scheduleBeat();
  }

  async #beatOne(offer) {
    try {
      const options = { retry: ONCE, probe: true, timeout: Math.max(1, this.ttl / 5) };
      const reply = await this.client.call('POST', `/v1/workers/${offer.id}:heartbeat`, {}, options);
      for (const token of reply.stop ?? []) this.cancel(token);
      if (this.local) {
        this.log('the server is back');
        this.#reporter.wake();
      }
      this.local = false;
    } catch (error) {
      if (error instanceof Unavailable) {
        if (!this.local) this.log(`the server is away, working on without it: ${error.message}`);
        this.local = true;
        return;
      }
      this.log(`the heartbeat was refused: ${error.message}`);
      if (!isOver(error) || this.stopping) return;
      await this.#register(offer).catch((again) => this.log(`${offer.name} could not register again: ${again.message}`));
    }
  }

  // Calls.

  /**
   * The stage of a call, begun where it is a new one. `waits` says whether somebody still waits for the answer: a call that
   * was in a queue for too long begins nothing. Throws a Refusal.
   */
  async take(request, mode, waits) {
    const offer = this.#offers.get(request.type);
    if (!offer) throw new Refusal(`this runner does no stages of type "${request.type}"`);
    if (!offer.modes.includes(mode)) throw new Refusal(`stages of type ${request.type} are not done ${mode} here`);
    // A call may be here before the answer to the registration that it names.
    if (offer.id !== request.worker) await offer.joining?.catch(() => {});
    if (offer.id !== request.worker)
      throw new Refusal(`this is incarnation ${offer.id} of ${offer.name}, not ${request.worker}`);
    let stage = this.#going.get(request.token) ?? this.#finished.get(request.token)?.stage;
    if (!stage) {
      if (!waits()) throw new Refusal('the call is over; nobody waits for an answer');
      if (this.stopping) throw new Refusal('this runner is about to leave');
      if (offer.slots && offer.busy >= offer.slots) throw new Refusal(`all of the ${offer.slots} slots are taken`);
      stage = { offer, context: new Context(request, mode, this.client), callers: 0 };
      offer.busy++;
      this.#going.set(request.token, stage);
      stage.done = this.#perform(stage);
    }
    if (mode === 'sync') stage.callers++;
    return stage;
  }

  /** A sync call is over, answered or not. The end of what then still goes on is told by itself. */
  hangUp(stage) {
    stage.callers--;
  }

  async #perform(stage) {
    const { token } = stage.context;
    const report = await stage.context.report(stage.offer.work);
    // From here on the server may know it, and give something else into the slot.
    stage.offer.busy--;
    if (!stage.callers) this.#reporter.add({ token, ...report });
    this.#going.delete(token);
    this.#remember(token, { done: stage.done, callers: stage.callers }, JSON.stringify(report).length);
    if (!this.#going.size) this.#rested();
    return report;
  }

  #remember(token, stage, chars) {
    this.#finished.set(token, { stage, chars });
    this.#finishedChars += chars;
    for (const [oldest, { chars: freed }] of this.#finished) {
      if (this.#finished.size <= FINISHED_MAX && this.#finishedChars <= FINISHED_CHARS_MAX) break;
      this.#finished.delete(oldest);
      this.#finishedChars -= freed;
    }
  }

  cancel(token, reason) {
    this.#going.get(token)?.context.cancel(reason || 'the stage is cancelled');
  }

  /** What is answered to a ping for this incarnation, or for the first one where it is none of ours. */
  ping(worker) {
    const offers = [...this.#offers.values()];
    const offer = offers.find((o) => o.id === worker) ?? offers[0];
    return {
      runner: offer.name,
      worker: offer.id ?? '',
      types: [offer.type],
      modes: offer.modes,
      free: offer.slots ? offer.slots - offer.busy : -1,
    };
  }
}
