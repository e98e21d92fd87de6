// SPDX-License-Identifier: Apache-2.0
// A runner of chaos_test.py, in Node: it does what chaos_runner.py does, and keeps the same ledger.

import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Breaker, Client, Failed } from '../../sdk/node/lib/index.js';

const [name, listen, address, ttl, path] = process.argv.slice(2);
const ledger = openSync(path, 'a', 0o600);
const note = (...words) => writeSync(ledger, `${words.join(' ')}\n`);
const who = `${name}:${process.pid}`;

const client = new Client(process.env.WEFT_SERVER, { timeout: 5, breaker: new Breaker({ failures: 1e9 }) });

async function work(ctx) {
  const { args } = ctx;
  note('begin', ctx.token, ctx.run, ctx.name, ctx.attempt, who);
  try {
    if (ctx.mode === 'async') await ctx.progress(10, 'begun');
    await sleep(args.ms, undefined, { signal: ctx.signal });
    if (ctx.attempt <= (args.fails ?? 0)) throw new Failed('as it should', { code: 'scripted' });
    if (args.adds) await client.call('POST', `/v1/runs/${ctx.run}:write`, { token: ctx.token, stages: args.adds });
    for (const check of ctx.checks) {
      const failure = args.final ? 'for good' : undefined;
      ctx.check(check.name, { data: { token: ctx.token, by: ctx.name }, finalize: check.kind !== 'parts', failure });
    }
    return { token: ctx.token };
  } finally {
    note('end', ctx.token, who);
  }
}

const log = (text) => console.error(text);
await client
  .runner({ name, slots: 12, listen, address, ttl: Number(ttl), takeover: true, log })
  .stage('plan', work)
  .stage('work', work)
  .serve();
