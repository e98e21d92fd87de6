// SPDX-License-Identifier: Apache-2.0
// What sdk_node_test.py asks of the Node client: `node sdk_node.mjs SCENARIO` prints what came out, as JSON. A line on stdin
// lets a scenario go on that waits for one.

import { createInterface } from 'node:readline/promises';

import { Breaker, Client, Context, Refused, Retry, Task, Unavailable, instanceId, runFlow } from '../sdk/node/lib/index.js';

const caught = async (work) => {
  try {
    await work();
    return null;
  } catch (error) {
    return error;
  }
};

const line = async () => {
  const input = createInterface({ input: process.stdin });
  for await (const text of input) {
    input.close();
    return text;
  }
  return null;
};

const scenarios = {
  breaker() {
    let now = 1000;
    const breaker = new Breaker({ failures: 5, rest: 60, successes: 3, clock: () => now });
    const states = [];
    for (let i = 0; i < 6; i++) breaker.failed();
    states.push(breaker.state, breaker.permit());
    now += 120;
    states.push(breaker.permit(), breaker.state);
    for (let i = 0; i < 3; i++) breaker.succeeded();
    states.push(breaker.state);
    return states;
  },

  retry() {
    const retry = new Retry({ base: 0.1, factor: 2, cap: 1, jitter: 0 });
    return [1, 2, 3, 4, 5].map((n) => retry.pause(n)).concat(retry.pause(1, 7));
  },

  names: () => new Set(Array.from({ length: 100 }, instanceId)).size,

  /** A deadline in 30 days: no timer may be asked for more than it can do, or fire for good before. */
  deadline() {
    const asked = [];
    const real = globalThis.setTimeout;
    globalThis.setTimeout = (work, ms) => {
      asked.push({ work, ms });
      return { unref: () => 0 };
    };
    const context = new Context({ deadline: { seconds: Date.now() / 1000 + 30 * 86400 } }, 'async');
    const states = [asked[0].ms <= 0x7fffffff];
    asked[0].work();
    states.push(context.signal.aborted, asked.length);
    context.deadline = Date.now() / 1000;
    asked[1].work();
    globalThis.setTimeout = real;
    return states.concat(context.signal.aborted, asked.length);
  },

  async bad() {
    const client = new Client('http://127.0.0.1:9');
    const errors = [
      await caught(() => client.claim('', 'w')),
      await caught(() => client.claim('q', 'w', { max: 0 })),
      await caught(() => client.enqueue('q', [])),
      await caught(() => runFlow({ client }, 'q', String, { batch: 1.5 })),
    ];
    return errors.map((e) => e?.constructor.name);
  },

  async away() {
    const client = new Client(process.env.WEFT_SERVER, { retry: new Retry({ attempts: 3, base: 0.001 }) });
    const error = await caught(() => client.status());
    return [error instanceof Unavailable, error.code, (await client.health()).health];
  },

  async life() {
    const client = new Client();
    const ids = await client.enqueue('mail', [{ n: 1 }, new Task({ n: 2 }, { priority: 5 })]);
    const worker = await client.worker({ name: 'n1' });
    const leases = await worker.claim('mail', { max: 10 });
    for (const lease of leases) await worker.handle(lease, (l) => ({ was: l.payload }));
    await worker.drain();
    const shown = await client.call('GET', `/v1/tasks/${ids[1]}`);
    const counts = (await client.queue('mail')).counts;
    await worker.close();
    return [leases.map((l) => l.payload), shown.state, shown.output, counts.succeeded];
  },

  async flow() {
    const client = new Client();
    await client.putQueue('records', { retry: { max_attempts: 1 } });
    const worker = await client.worker();
    const empty = await runFlow(worker, 'records', String);
    await client.enqueue('records', [1, 2, 3, 4, 5]);
    const summary = await runFlow(worker, 'records', (record) => {
      if (record > 3) throw new Error(`${record} is too much`);
      return record;
    });
    const dead = [];
    for await (const task of client.deadLetters('records')) dead.push(task.message);
    const back = await client.requeue('records');
    await worker.close();
    return [empty.message, summary.success_rate_percent, summary.errors.map((e) => e.error), dead.length, back];
  },

  /** Results that are no JSON, or that no server takes. */
  async results() {
    const client = new Client();
    await client.putQueue('mail', { retry: { max_attempts: 1 } });
    await client.enqueue('mail', [0, 1, 2]);
    const worker = await client.worker();
    const results = [10n, 'x'.repeat(2 << 20), 'good'];
    await worker.run('mail', (lease) => results[lease.payload], { untilEmpty: true, wait: 0 });
    const dead = [];
    for await (const task of client.deadLetters('mail')) dead.push(task.message.split(':')[0]);
    const counts = (await client.queue('mail')).counts;
    await worker.close();
    return [dead.sort(), counts.succeeded];
  },

  /** Somebody else has the name; what was held is lost, and holds no slot. */
  async lost() {
    const client = new Client();
    await client.enqueue('mail', [1]);
    const worker = await client.worker({ name: 'n1' });
    const [lease] = await worker.claim('mail');
    const other = await client.worker({ name: 'n1', takeover: true });
    await lease.progress(50);
    const error = await caught(() => lease.complete());
    await worker.close();
    const counts = (await client.queue('mail')).counts;
    await other.close();
    return [lease.lost, error.code, counts.ready];
  },

  /** The queue is made while the worker asks for it. */
  async later() {
    const client = new Client();
    const said = [];
    const worker = await client.worker({ log: (text) => said.push(text) });
    const error = await caught(() => worker.run('later', String, { untilEmpty: true }));
    const done = [];
    const running = worker.run('later', (lease) => {
      done.push(lease.payload);
      worker.stop();
    });
    await line();
    await client.enqueue('later', [7]);
    await running;
    await worker.close();
    return [error.code, done, said.length];
  },

  /** The first try of its second claim waits somewhere. */
  async late() {
    const worker = await new Client(process.env.WEFT_SERVER, { timeout: 0.5 }).worker({ name: 'n1' });
    const [first] = await worker.claim('mail');
    console.log('claimed');
    await line();
    console.log((await worker.claim('mail')).length);
    await line();
    const leases = await worker.claim('mail');
    for (const lease of [first, ...leases]) lease.complete();
    await worker.drain();
    await worker.close();
    return leases.length;
  },

  async refused() {
    const error = await caught(() => new Client().queue('nowhere'));
    return [error instanceof Refused, error.code, error.status];
  },

  /** It holds two tasks while the server goes and comes again. */
  async outage() {
    const client = new Client();
    await client.enqueue('mail', [1, 2]);
    const worker = await client.worker({ name: 'n1', ttl: 10 });
    const leases = await worker.claim('mail', { max: 2 });
    console.log('claimed');
    await line();
    for (const lease of leases) lease.complete(lease.payload);
    console.log('ended');
    await worker.drain();
    const counts = (await client.queue('mail')).counts;
    await worker.close();
    return counts.succeeded;
  },
};

console.log(JSON.stringify(await scenarios[process.argv[2]]()));
