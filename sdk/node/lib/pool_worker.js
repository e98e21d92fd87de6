// SPDX-License-Identifier: Apache-2.0
// A process of a pool: warm, spoken to over stdin and stdout (docs/pools.md, "The protocol").
// This file needs nothing else of the package: it may be copied.

import fs from 'node:fs';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

const MESSAGE_BYTES_DEFAULT = 1 << 20;
const REQUEST_BYTES_MAX = 64 << 20; // no pool may be told a larger limit
const DEPTH_MAX = 64; // lists and objects within each other, as weft reads them
const TIMER_MS_MAX = 2 ** 31 - 1;
const TURN_MS = 5; // a stream lets others go on after so long
const { O_APPEND, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;

/** A failure in the words of the worker. Any other exception is one by its own name. */
export class Failed extends Error {
  constructor(message, { kind = 'Failed', details } = {}) {
    super(message);
    this.kind = kind;
    this.details = details;
  }
}

/** What a session keeps between its calls. */
export class Session extends Map {
  constructor(id = null) {
    super();
    this.id = id; // null: of a call without a session, and forgotten behind it
  }
}

/** One call of a command. */
export class Call {
  #controller = null;
  #left = false;
  #timer;

  constructor({ id, command, args = null, session = null, deadline = null }) {
    this.id = id;
    this.command = command;
    this.args = args;
    this.sessionId = session;
    this.session = null;
    this.deadline = deadline === null ? null : performance.now() + deadline;
  }

  /** The milliseconds that it has; null: no limit. */
  left() {
    return this.deadline === null ? null : this.deadline - performance.now();
  }

  /** Nobody waits for it any more: it was cancelled, or its time is over. */
  get cancelled() {
    return this.#left || (this.deadline !== null && performance.now() >= this.deadline);
  }

  /** The same as an AbortSignal. */
  get signal() {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.cancelled) this.#controller.abort();
      else if (this.deadline !== null) this.#alarm();
    }
    return this.#controller.signal;
  }

  #alarm() {
    const rest = this.deadline - performance.now();
    if (rest <= 0) this.#controller.abort();
    else this.#timer = setTimeout(() => this.#alarm(), Math.min(Math.ceil(rest), TIMER_MS_MAX));
  }

  /** Sleep, but no longer than somebody waits for it; whether nobody does. */
  async wait(ms) {
    await sleep(Math.min(ms, TIMER_MS_MAX), undefined, { signal: this.signal }).catch(() => {});
    return this.cancelled;
  }

  cancel() {
    this.#left = true;
    this.#controller?.abort();
  }

  over() {
    clearTimeout(this.#timer);
  }
}

// A pipe, opened once more; a socket cannot be, and is used as it is.
function again(fd, flags) {
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, flags | O_NONBLOCK);
  } catch {
    return fd;
  }
}

// Node has no dup2(): what is opened next gets the lowest number that is free.
function put(fd, ...choices) {
  fs.closeSync(fd);
  for (const [path, flags] of choices) {
    try {
      fs.openSync(path, flags);
      return;
    } catch {
      // the next one
    }
  }
}

// What prints by accident, and what processes of its own read and write, is not the protocol.
function takeDescriptors() {
  const input = again(0, O_RDONLY);
  const output = again(1, O_WRONLY);
  if (input !== 0) put(0, ['/dev/null', O_RDONLY]);
  if (output !== 1) put(1, ['/proc/self/fd/2', O_WRONLY | O_APPEND], ['/dev/null', O_WRONLY]);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return {
    input: new net.Socket({ fd: input, readable: true, writable: false }),
    output: new net.Socket({ fd: output, readable: false, writable: true }),
  };
}

/** How many lists and objects stand within each other in a JSON text. */
function depth(text) {
  let most = 0;
  let now = 0;
  for (const c of text.replace(/"(?:[^"\\]|\\.)*"/g, '')) {
    if (c === '[' || c === '{') most = Math.max(most, ++now);
    else if (c === ']' || c === '}') now--;
  }
  return most;
}

function mayBeDeep(text) {
  let n = 0;
  for (const c of '[{') for (let at = text.indexOf(c); at >= 0 && n <= DEPTH_MAX; at = text.indexOf(c, at + 1)) n++;
  return n > DEPTH_MAX;
}

// Half of a surrogate pair is no character; JSON.stringify escapes it.
const whole = (text) => (text.includes('\\ud') ? text.replace(/\\(?:ud[89a-f][0-9a-f]{2}|.)/g, (e) => (e.length > 2 ? '\ufffd' : e)) : text);

function encode(message, max) {
  const text = whole(JSON.stringify(message));
  if (mayBeDeep(text) && depth(text) > DEPTH_MAX + 1)
    throw new Failed(`a reply is nested more than ${DEPTH_MAX} deep`, { kind: 'too_deep' });
  const n = Buffer.byteLength(text);
  if (n > max) throw new Failed(`a reply of ${n} bytes is larger than the ${max} that a message may have`, { kind: 'too_large' });
  const frame = Buffer.allocUnsafe(4 + n);
  frame.writeUInt32BE(n);
  frame.write(text, 4);
  return frame;
}

const isGenerator = (value) => typeof value?.next === 'function' && typeof value.return === 'function';

/** Answers the calls of commands that are registered with it, `inFlight` at a time. */
export class PoolWorker {
  #able;
  #max;
  #commands = new Map();
  #end = () => {};
  #snapshot = null;
  #restore = null;
  #sessions = new Map();
  #calls = new Map(); // under way or waiting, by id
  #waiting = [];
  #running = 0;
  #came = []; // bytes that are no whole frame yet
  #bytes = 0;
  #input;
  #output;
  #ended = false;
  #shutdown = false;

  /**
   * From here on stdout belongs to the protocol. `sessions`: how many it may keep, where weft is to know. `messageMax`: as
   * the pool's; what is larger is answered with an error instead.
   */
  constructor({ inFlight = 1, sessions, messageMax = MESSAGE_BYTES_DEFAULT } = {}) {
    if (!(inFlight >= 1)) throw new RangeError('a worker has at least one call in flight');
    this.#able = { protocol: 1, in_flight: inFlight, sessions, snapshots: false };
    this.#max = messageMax;
    Object.assign(this, { inFlight });
    ({ input: this.#input, output: this.#output } = takeDescriptors());
    this.#output.on('error', () => process.exit(0)); // weft is gone
    // weft asks a worker that is stuck where it is; a loop that is stuck itself cannot say it.
    process.on('SIGUSR2', () => console.error('under way:', [...this.#calls.values()].map((c) => c.command).join(', ') || 'nothing'));
  }

  /** Register the function that answers this command. It is given a Call; a generator's values are chunks, its return the result. */
  command(name, work) {
    if (typeof name !== 'string' || !name || name.startsWith('weft.'))
      throw new TypeError(`${JSON.stringify(name)} is no command: a text that is not empty, and not weft's own`);
    this.#commands.set(name, work);
    return this;
  }

  /** Register the function that is given a Session that has ended. */
  onEndSession(work) {
    this.#end = work;
    return this;
  }

  /** Register the functions that make JSON of a Session, and that are given a new one and that JSON. */
  snapshots(snapshot, restore) {
    this.#snapshot = snapshot;
    this.#restore = restore;
    this.#able.snapshots = true;
    return this;
  }

  /** Answer calls until weft says that it is over, or goes away; then the process ends. */
  serve() {
    this.#input.on('data', (data) => this.#take(data));
    for (const event of ['end', 'error']) this.#input.on(event, () => this.#inputEnded());
  }

  // Reading.

  #take(data) {
    this.#came.push(data);
    this.#bytes += data.length;
    for (let text = this.#next(); text !== null; text = this.#next()) this.#accept(JSON.parse(text));
  }

  #next() {
    if (this.#bytes < 4) return null;
    if (this.#came[0].length < 4) this.#came = [Buffer.concat(this.#came)];
    const end = 4 + this.#came[0].readUInt32BE();
    if (end === 4 || end > 4 + REQUEST_BYTES_MAX) throw new RangeError(`a request of ${end - 4} bytes is none of weft's`);
    if (this.#bytes < end) return null;
    const all = this.#came.length === 1 ? this.#came[0] : Buffer.concat(this.#came);
    this.#came = [all.subarray(end)];
    this.#bytes -= end;
    return all.toString('utf8', 4, end);
  }

  #accept(request) {
    if (request.cancel !== undefined) this.#calls.get(request.cancel)?.cancel();
    else if (request.command === 'weft.shutdown') this.#shutdown = true;
    else if (request.command === 'weft.ping') this.#write({ id: request.id, success: true, result: this.#able });
    else if (request.id === undefined) throw new TypeError("a request without an id is none of weft's");
    else {
      const call = new Call(request);
      this.#calls.set(call.id, call);
      this.#waiting.push(call);
      this.#begin();
    }
  }

  #inputEnded() {
    this.#ended = true;
    if (!this.#shutdown) for (const call of this.#calls.values()) call.cancel(); // nobody waits any more, for anything
    this.#leave();
  }

  async #leave() {
    if (!this.#ended || this.#calls.size) return;
    this.#ended = false; // once
    for (const session of this.#sessions.values()) {
      try {
        await this.#end(session);
      } catch (error) {
        console.error(error); // the others end all the same
      }
    }
    this.#output.end(() => process.exit());
  }

  // Answering.

  #begin() {
    while (this.#running < this.inFlight && this.#waiting.length) {
      this.#running++;
      this.#answer(this.#waiting.shift());
    }
  }

  async #answer(call) {
    let frame;
    try {
      if (call.cancelled) throw new Failed('it was cancelled before it began', { kind: 'cancelled' });
      frame = encode({ id: call.id, success: true, result: (await this.#do(call)) ?? null }, this.#max);
    } catch (error) {
      frame = this.#failure(call.id, error);
    }
    call.over();
    this.#calls.delete(call.id);
    this.#running--;
    this.#output.write(frame);
    this.#begin();
    this.#leave();
  }

  async #do(call) {
    if (call.command === 'weft.end_session') return this.#endSession(call.sessionId);
    call.session = this.#session(call.sessionId, call.command === 'weft.restore');
    if (call.command === 'weft.snapshot' && this.#snapshot) return this.#snapshot(call.session);
    if (call.command === 'weft.restore' && this.#restore) {
      await this.#restore(call.session, call.args);
      return null;
    }
    const work = this.#commands.get(call.command);
    if (!work) throw new Failed(`there is no command "${call.command}"`, { kind: 'unknown_command' });
    const result = await work(call);
    return isGenerator(result) ? this.#stream(call, result) : result;
  }

  async #stream(call, values) {
    let rest = performance.now() + TURN_MS;
    for (;;) {
      const { value, done } = await values.next();
      if (done) return value;
      if (performance.now() >= rest) {
        await turn();
        rest = performance.now() + TURN_MS;
      }
      if (!call.cancelled) await this.#room();
      if (call.cancelled) {
        await values.return();
        throw new Failed('it was cancelled', { kind: 'cancelled' });
      }
      this.#write({ id: call.id, chunk: value ?? null });
    }
  }

  #room() {
    if (!this.#output.writableNeedDrain) return null;
    return new Promise((resolve) => this.#output.once('drain', resolve));
  }

  #session(id, isNew) {
    if (id === null) return new Session();
    if (isNew || !this.#sessions.has(id)) this.#sessions.set(id, new Session(id));
    return this.#sessions.get(id);
  }

  async #endSession(id) {
    const session = this.#sessions.get(id);
    if (!session) return false;
    this.#sessions.delete(id);
    await this.#end(session);
    return true;
  }

  // Writing.

  #failure(id, error) {
    const kind = String((error instanceof Failed ? error.kind : error?.name) ?? 'Error');
    const message = String(error?.message ?? error);
    try {
      return encode({ id, success: false, error: { kind, message, details: error?.details } }, this.#max);
    } catch {
      // its words are too many, or no JSON
      return encode({ id, success: false, error: { kind: kind.slice(0, 1000), message: message.slice(0, 1000) } }, this.#max);
    }
  }

  #write(message) {
    this.#output.write(encode(message, this.#max));
  }
}
