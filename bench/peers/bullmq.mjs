// SPDX-License-Identifier: Apache-2.0
// BullMQ on Redis with `appendonly yes, appendfsync always`, which is what durable means.
import { Queue, Worker } from 'bullmq';

import { measure, url } from './measure.mjs';

const at = new URL(url);
const connection = { host: at.hostname, port: Number(at.port), maxRetriesPerRequest: null };
const options = { removeOnComplete: true, removeOnFail: true };
const queue = new Queue('bench', { connection, defaultJobOptions: options });
let worker;

await measure({
  add: (data) => queue.add('noop', data),
  addMany: (list) => queue.addBulk(list.map((data) => ({ name: 'noop', data }))),
  async drain(count) {
    const begun = performance.now();
    let left = count;
    let finish;
    const finished = new Promise((resolve) => (finish = resolve));
    const drainer = new Worker(
      'bench',
      async () => {
        if (--left === 0) finish();
      },
      { connection, concurrency: 200 },
    );
    await finished;
    const seconds = (performance.now() - begun) / 1000;
    await drainer.close();
    return seconds;
  },
  async listen(started) {
    worker = new Worker('bench', async (job) => started(job.data), { connection, concurrency: 10 });
    await worker.waitUntilReady();
  },
  async close() {
    await worker.close();
    await queue.close();
  },
});
process.exit(0);
