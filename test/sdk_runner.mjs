// SPDX-License-Identifier: Apache-2.0
// The runner that sdk_runner_test.py plays with, in Node: its stages do what their args say.

import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client, Failed } from '../sdk/node/lib/index.js';

const runner = new Client().runner({
  name: 'doer',
  slots: 2,
  ttl: 60,
  labels: { os: 'linux' },
  metadata: { rack: '7' },
  version: '1.2',
});

class Speechless extends Error {
  get message() {
    throw this;
  }
}

async function work(ctx) {
  const { args } = ctx;
  for (const [percent, message, details] of args.progress ?? []) await ctx.progress(percent, message, details);
  for (const { name, data, failure } of args.checks ?? []) ctx.check(name, { data, failure });
  while (args.until && !existsSync(args.until)) {
    if (ctx.signal.aborted) throw new Error(`stopped: ${ctx.signal.reason.message}`);
    await sleep(5);
  }
  if (args.failed) throw new Failed(args.failed, { code: 'odd', final: args.final });
  if (args.raise) throw new TypeError(args.raise);
  if (args.count) appendFileSync(args.count, 'x');
  if (args.speechless) throw new Speechless();
  if (args.bytes) return 'x'.repeat(args.bytes);
  if (args.no_json) return NaN;
  const checks = ctx.checks.map((c) => [c.name, c.kind, c.options, c.goal]);
  return { args, checks, attempt: ctx.attempt, deadline: ctx.deadline, token: ctx.token, run: ctx.run };
}

await runner
  .stage('do', work)
  .stage('sync_only', work, { mode: 'sync', slots: 0 })
  .stage('async_only', work, { mode: 'async' })
  .serve();
