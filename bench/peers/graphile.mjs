// SPDX-License-Identifier: Apache-2.0
// graphile-worker, tuned as its "performance" page advises: local queue, batched completion.
import pg from 'pg';
import { makeWorkerUtils, run } from 'graphile-worker';

import { measure, url } from './measure.mjs';

const pool = new pg.Pool({ connectionString: url, max: 20 });
for (const event of ['error', 'connect']) pool.on(event, (e) => e?.on?.('error', () => {}));
const utils = await makeWorkerUtils({ pgPool: pool });
await utils.migrate();
const quiet = { log() {}, error: console.error, warn() {}, info() {}, debug() {}, scope: () => quiet };

const start = (handler) =>
  run({
    preset: {
      worker: {
        concurrentJobs: 24,
        pollInterval: 2000,
        localQueue: { size: 500 },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
    pgPool: pool,
    logger: quiet,
    noHandleSignals: true,
    taskList: { noop: handler },
  });

let runner;
await measure({
  add: (payload) => utils.addJob('noop', payload),
  addMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: 'noop', payload }))),
  async drain(count) {
    const begun = performance.now();
    let left = count;
    let finish;
    const finished = new Promise((resolve) => (finish = resolve));
    const drainer = await start(() => {
      if (--left === 0) finish();
    });
    await finished;
    const seconds = (performance.now() - begun) / 1000;
    await drainer.stop();
    return seconds;
  },
  async listen(started) {
    runner = await start(started);
  },
  async close() {
    await runner.stop();
    await utils.release();
    await pool.end();
  },
});
