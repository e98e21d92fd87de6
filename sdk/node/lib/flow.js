// SPDX-License-Identifier: Apache-2.0
// The flow template: claim a batch, process each record, tell how it went.

import { Refused } from './errors.js';

const ERRORS_MAX = 10;
const BATCH_MAX = 10000;

/**
 * Process one batch of a queue and give a summary. `process(payload)` gives the result of one record; what it throws fails
 * that record and no other.
 */
export async function runFlow(worker, queue, process, { batch = 100 } = {}) {
  if (typeof queue !== 'string' || !queue.trim()) throw new TypeError('the name of a queue is a text that is not blank');
  if (!Number.isInteger(batch) || batch < 1 || batch > BATCH_MAX)
    throw new RangeError(`batch is a whole number from 1 to ${BATCH_MAX}`);
  const health = await worker.client.health();
  if (health.health === 'unhealthy') throw new Refused('unhealthy', `the server is unhealthy: ${health.reason}`, 503);
  const leases = await worker.claim(queue, { max: batch });
  const summary = {
    queue,
    batch,
    worker: worker.name,
    claimed: leases.length,
    processed: 0,
    succeeded: 0,
    failed: 0,
    success_rate_percent: 0,
    errors: [],
    error_count: 0,
  };
  if (!leases.length) return { ...summary, message: 'No records to process' };
  for (const lease of leases) {
    summary.processed++;
    try {
      lease.complete((await process(lease.payload)) ?? null);
      summary.succeeded++;
    } catch (error) {
      const text = error?.message ?? String(error);
      // A lease that is lost is nobody's to fail, and the other records go on.
      if (!lease.lost && !lease.ended) lease.fail(text, error?.name ?? 'error');
      summary.failed++;
      if (summary.error_count++ < ERRORS_MAX) summary.errors.push({ id: lease.id, error: text });
    }
  }
  summary.success_rate_percent = Math.round((10000 * summary.succeeded) / summary.processed) / 100;
  await worker.drain();
  return summary;
}
