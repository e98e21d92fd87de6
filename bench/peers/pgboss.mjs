// SPDX-License-Identifier: Apache-2.0
// pg-boss, taking by batches of 1 000 as its own benchmarks do; its listener polls without a pause.
import PgBoss from 'pg-boss';

import { measure, url } from './measure.mjs';

const boss = new PgBoss({ connectionString: url, max: 20 });
await boss.start();
await boss.createQueue('bench');
let going = true;
let listener;

await measure({
  add: (data) => boss.send('bench', data),
  addMany: (list) => boss.insert(list.map((data) => ({ name: 'bench', data }))),
  async drain(count) {
    const begun = performance.now();
    for (let left = count; left > 0; ) {
      const jobs = await boss.fetch('bench', { batchSize: 1000 });
      await boss.complete('bench', jobs.map((job) => job.id));
      left -= jobs.length;
    }
    return (performance.now() - begun) / 1000;
  },
  listen(started) {
    listener = (async () => {
      while (going) {
        const jobs = await boss.fetch('bench', { batchSize: 10 });
        for (const job of jobs) started(job.data);
        if (jobs.length) await boss.complete('bench', jobs.map((job) => job.id));
      }
    })();
  },
  async close() {
    going = false;
    await listener;
    await boss.stop({ graceful: false });
  },
});
process.exit(0);
