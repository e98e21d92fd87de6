// SPDX-License-Identifier: Apache-2.0
// The calls of weft's HTTP API.

import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { Breaker, Retry } from './breaker.js';
import { BreakerOpen, Refused, Unavailable } from './errors.js';
import { Runner } from './runner.js';
import { Worker } from './worker.js';

// What the server says when another try may do.
const RETRY_STATUS = new Set([408, 425, 429, 502, 503, 504]);

/** HOST-8hex, a new one each time: the name of a worker that brings none. */
export function instanceId() {
  return `${(hostname() || 'unknown').slice(0, 150)}-${randomBytes(4).toString('hex')}`;
}

/** As the API writes a duration; a text is taken as it is ('5s'). */
export function duration(seconds) {
  if (typeof seconds === 'string') return seconds;
  return `${Number(seconds.toFixed(6))}s`;
}

function queuePath(queue, verb = '') {
  if (typeof queue !== 'string' || !queue.trim()) throw new TypeError('the name of a queue is a text that is not blank');
  return `/v1/queues/${encodeURIComponent(queue)}${verb}`;
}

/** A payload with what else a task may have; see NewTask in proto/weft/v1/queue.proto. */
export class Task {
  constructor(payload, fields = {}) {
    this.fields = { payload, ...fields };
    for (const name of ['delay', 'unique_for', 'timeout'])
      if (this.fields[name] !== undefined) this.fields[name] = duration(this.fields[name]);
  }
}

/**
 * One server. A call is made again when it cannot be reached. Most may be made twice without harm; those that may not
 * (enqueue, claim) carry an idempotency key, so that the server answers the second as it answered the first.
 */
export class Client {
  constructor(url = process.env.WEFT_SERVER ?? 'http://127.0.0.1:7411', { timeout = 30, retry, breaker } = {}) {
    this.url = new URL(url).origin;
    this.timeout = timeout;
    this.retry = retry ?? new Retry();
    this.breaker = breaker ?? new Breaker();
  }

  async #once(verb, path, body, headers, timeout) {
    let response;
    let text;
    try {
      response = await fetch(this.url + path, {
        method: verb,
        body,
        headers,
        signal: AbortSignal.timeout(timeout * 1000),
      });
      text = await response.text();
    } catch (error) {
      throw new Unavailable('unavailable', `${this.url} does not answer: ${error.cause?.message ?? error.message}`);
    }
    if (!response.ok) throw this.#problem(response, text);
    try {
      return text ? JSON.parse(text) : {};
    } catch {
      throw new Refused('internal', `${this.url} answered with something else than JSON; is it a weft server?`, response.status);
    }
  }

  #problem(response, text) {
    let problem = {};
    try {
      problem = JSON.parse(text) ?? {};
    } catch {
      // Not from weft: the status has to do.
    }
    const code = problem.code ?? `http_${response.status}`;
    const detail = problem.detail ?? problem.title ?? `HTTP status ${response.status}`;
    if (!RETRY_STATUS.has(response.status)) return new Refused(code, detail, response.status, problem.details ?? []);
    return new Unavailable(code, detail, Number.parseFloat(response.headers.get('retry-after') ?? '') || undefined);
  }

  /**
   * Make a call; `once`: an idempotency key; `probe`: even while the breaker is open, which its success then half
   * opens; `again`: called before each new try. Throws Refused, or Unavailable when the tries are used up.
   */
  async call(verb, path, body, { query, timeout = this.timeout, retry = this.retry, once, probe = false, again } = {}) {
    const headers = { accept: 'application/json' };
    let data;
    if (verb === 'POST' || verb === 'PUT') {
      headers['content-type'] = 'application/json';
      data = JSON.stringify(body ?? {});
    }
    if (once) headers['idempotency-key'] = once;
    if (query) path += `?${new URLSearchParams(query)}`;
    for (let failures = 0; ; ) {
      const rest = this.breaker.permit();
      if (rest > 0 && !probe) throw new BreakerOpen(rest);
      try {
        const reply = await this.#once(verb, path, data, headers, timeout);
        this.breaker.succeeded();
        return reply;
      } catch (error) {
        if (!(error instanceof Unavailable)) {
          this.breaker.succeeded();
          throw error;
        }
        this.breaker.failed();
        if (++failures >= retry.attempts) throw error;
        await sleep(retry.pause(failures, error.retryAfter) * 1000);
        again?.();
      }
    }
  }

  // Queues.

  /** Make the queue, or change the settings that are given (PutQueueRequest). */
  putQueue(queue, settings = {}) {
    const body = { ...settings };
    for (const name of ['claim_ttl', 'retention', 'task_timeout'])
      if (body[name] !== undefined) body[name] = duration(body[name]);
    return this.call('PUT', queuePath(queue), body);
  }

  /** Settings and counts. */
  queue(queue) {
    return this.call('GET', queuePath(queue));
  }

  queues() {
    return this.#pages('/v1/queues', 'queues', {});
  }

  /** Add payloads, or Tasks, all of them or none. Gives their ids in the same order. */
  async enqueue(queue, tasks) {
    if (!Array.isArray(tasks) || !tasks.length) throw new TypeError('there is nothing to enqueue');
    const list = tasks.map((t) => (t instanceof Task ? t.fields : { payload: t }));
    return (await this.call('POST', queuePath(queue, ':enqueue'), { tasks: list }, { once: randomUUID() })).ids;
  }

  /**
   * Up to `max` leases as the API gives them. A Worker is more comfortable, and asks again with the same `once` where it did
   * not hear the answer. `again`: as in call().
   */
  async claim(queue, worker, { max = 1, wait = 0, ttl, once = randomUUID(), again } = {}) {
    if (!Number.isInteger(max) || max < 1) throw new RangeError('max is a whole number from 1 on');
    const body = { worker, max, wait: duration(wait) };
    if (ttl !== undefined) body.ttl = duration(ttl);
    const reply = await this.call('POST', queuePath(queue, ':claim'), body, { timeout: this.timeout + wait, once, again });
    return reply.leases ?? [];
  }

  /** End attempts; one {code, message} per result, in order. */
  async complete(results) {
    return (await this.call('POST', '/v1/leases:complete', { results })).results;
  }

  /** Give tasks back unworked. */
  async release(tokens) {
    return (await this.call('POST', '/v1/leases:release', { tokens })).results;
  }

  async renew(leases, ttl) {
    const body = { leases };
    if (ttl !== undefined) body.ttl = duration(ttl);
    return (await this.call('POST', '/v1/leases:renew', body)).results;
  }

  pause(queue) {
    return this.call('POST', queuePath(queue, ':pause'));
  }

  resume(queue) {
    return this.call('POST', queuePath(queue, ':resume'));
  }

  /** Give dead letters back: those of `ids`, else the oldest `max`. Gives how many. */
  async requeue(queue, { ids, max } = {}) {
    const body = {};
    if (ids !== undefined) body.tasks = ids.map((id) => ({ id }));
    if (max !== undefined) body.max = max;
    return (await this.call('POST', queuePath(queue, ':requeue'), body)).requeued ?? 0;
  }

  deadLetters(queue) {
    return this.#pages(queuePath(queue, '/tasks'), 'tasks', { state: 'FAILED' });
  }

  async *#pages(path, key, query) {
    for (let token = ''; ; ) {
      const reply = await this.call('GET', path, undefined, { query: { ...query, page_token: token } });
      yield* reply[key] ?? [];
      token = reply.next_page_token ?? '';
      if (!token) return;
    }
  }

  // The server.

  status() {
    return this.call('GET', '/v1/status');
  }

  /** Never throws: a server that cannot be asked is unhealthy. */
  async health() {
    try {
      return await this.call('GET', '/v1/health', undefined, { timeout: 15, retry: new Retry({ attempts: 1 }) });
    } catch (error) {
      return { health: 'unhealthy', reason: error.message };
    }
  }

  /** A Worker of this client, started. */
  worker(options = {}) {
    return new Worker(this, { name: instanceId(), ...options }).start();
  }

  /** A Runner of this client, which is given its stages and then started. */
  runner(options = {}) {
    return new Runner(this, { name: instanceId(), ...options });
  }
}
