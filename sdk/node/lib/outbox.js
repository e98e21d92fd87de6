// SPDX-License-Identifier: Apache-2.0
// Ends that the server has not heard of yet, and how they are told, whatever the network does.

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

import { Retry } from './breaker.js';
import { Refused } from './errors.js';

export const MESSAGE_CHARS_MAX = 900; // 4096 bytes are allowed, the code among them, and a character has at most four
export const CODE_CHARS_MAX = 50;
const REPORT_BATCH = 1000;
// Refusals that are the report's own fault: telling it again would be refused again.
const BAD_REPORT = new Set(['invalid_argument', 'too_large']);
// Answers after which the lease is nobody's. Behind any other the attempt goes on: of the plan's checks the end says what
// they do not take (check_final, task_not_found).
const OVER = new Set(['OK', 'lease_lost', 'completion_conflict']);

export const ONCE = new Retry({ attempts: 1 });
export const cut = (text, max) => Array.from(String(text)).slice(0, max).join('');

/** Ended leases that the server has not heard of, oldest first; with a file they survive the process. */
export class Outbox {
  constructor(path, log) {
    this.path = path;
    this.log = log;
    this.items = [];
    if (!path || !existsSync(path)) return;
    const lines = readFileSync(path, 'utf8').split('\n');
    let whole = lines.pop() === '';
    for (const line of lines) {
      try {
        const item = JSON.parse(line);
        if (typeof item.token !== 'string') throw new TypeError('no token');
        this.items.push(item);
      } catch {
        whole = false; // it was being written when the process died
      }
    }
    if (!whole) this.#save(); // or the next line would be the end of this one
  }

  /** Kept in memory even where the file cannot be written. */
  add(item) {
    this.items.push(item);
    if (this.path) this.#try(() => this.#write(this.path, 'a', [item]));
  }

  drop(n) {
    this.items.splice(0, n);
    if (this.path) this.#try(() => this.#save());
  }

  #save() {
    this.#write(`${this.path}.new`, 'w', this.items);
    renameSync(`${this.path}.new`, this.path);
  }

  #try(write) {
    try {
      write();
    } catch (error) {
      this.log(`the outbox cannot be written, ends are kept in memory: ${error.message}`);
    }
  }

  #write(path, flags, items) {
    const fd = openSync(path, flags);
    try {
      const data = Buffer.from(items.map((i) => `${JSON.stringify(i)}\n`).join(''));
      for (let at = 0; at < data.length; ) at += writeSync(fd, data, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

const isLastWord = (item) => item.release || item.error?.code === 'result_refused';
const refused = ({ token }, why) => ({
  token,
  outcome: 'failed',
  error: { code: 'result_refused', message: cut(why, MESSAGE_CHARS_MAX) },
});

/**
 * Tells the server what is in an outbox, the oldest first, in batches, for as long as it takes. `told(items)` hears of those
 * that are dealt with.
 */
export class Reporter {
  #client;
  #outbox;
  #told;
  #log;
  #closed = false;
  #going = null;
  #wake = () => {};

  constructor(client, outbox, told, log) {
    this.#client = client;
    this.#outbox = outbox;
    this.#told = told;
    this.#log = log;
  }

  /** Returns at once; the server is told in the background. */
  add(item) {
    this.#outbox.add(item);
    this.start();
  }

  start() {
    if (!this.#outbox.items.length) return;
    this.#going ??= this.#report().finally(() => {
      this.#going = null;
      if (!this.#closed) this.start();
    });
  }

  /** The server is back: do not wait for the next try. */
  wake() {
    this.#wake();
  }

  /** Until what has ended is known to the server. */
  async drain() {
    while (this.#going) await this.#going;
  }

  /** Tell what is left, unless the server cannot be reached. */
  async close() {
    this.#closed = true;
    this.#wake();
    await this.#going;
  }

  async #report() {
    for (let failures = 0, alone = 0; this.#outbox.items.length; ) {
      const items = this.#outbox.items.slice(0, alone ? 1 : REPORT_BATCH);
      try {
        await this.#tell(items);
        failures = 0;
        alone = Math.max(0, alone - 1);
      } catch (error) {
        if (error instanceof Refused && BAD_REPORT.has(error.code)) {
          this.#log(`the server refused a report: ${error.message}`);
          // A batch that is refused as a whole holds one that can never be told.
          if (items.length > 1) alone = items.length;
          else if (this.#tellOtherwise(items, error)) alone = Math.max(0, alone - 1);
          continue;
        }
        // Whatever it was: without reports every lease would be held for ever.
        if (this.#closed) return; // kept in the outbox's file, where there is one
        if (failures === 0) this.#log(`ends are kept and told later: ${error.message}`);
        await this.#pause(this.#client.retry.pause(++failures, error.retryAfter));
      }
    }
  }

  /**
   * What the server will never take is told as a failure, so that the task does not run for ever in its eyes. True: the
   * item is dealt with.
   */
  #tellOtherwise(items, error) {
    const [item] = items;
    if (isLastWord(item)) {
      this.#dealWith(items);
      return true;
    }
    this.#outbox.items[0] = refused(item, error.message);
    return false;
  }

  #pause(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #tell(items) {
    const results = items.filter((i) => !i.release);
    const tokens = items.filter((i) => i.release).map((i) => i.token);
    const again = [];
    if (results.length) {
      const reply = await this.#client.call('POST', '/v1/leases:complete', { results }, { retry: ONCE });
      reply.results.forEach((answer, i) => {
        if (answer.code !== 'OK') this.#log(`the end of lease ${results[i].token} was not taken: ${answer.code}`);
        if (!OVER.has(answer.code) && !isLastWord(results[i])) again.push([results[i], answer.message || answer.code]);
      });
    }
    if (tokens.length) await this.#client.call('POST', '/v1/leases:release', { tokens }, { retry: ONCE });
    for (const [item, why] of again) this.#outbox.add(refused(item, why));
    const open = new Set(again.map(([item]) => item));
    this.#dealWith(items, items.filter((item) => !open.has(item)));
  }

  #dealWith(items, over = items) {
    this.#outbox.drop(items.length);
    this.#told(over);
  }
}
