// SPDX-License-Identifier: Apache-2.0
// What all peers are asked to do. A peer gives the parts; this file gives the load and the clock.
//
//   single   `callers` add one task each, again and again: tasks a second
//   bulk     batches of 1 000 are added: tasks a second
//   drain    what was added is taken and completed: tasks a second
//   latency  50 tasks a second, one at a time: milliseconds from the call to the start of its handler

import { setTimeout as sleep } from 'node:timers/promises';

const [, , url, quick] = process.argv;
export { url };
const CALLERS = 64;
const SINGLES = quick ? 3000 : 20000;
const BULK = quick ? 20000 : 100000;
const LATENCY = quick ? 100 : 500;
export const PAYLOAD = { to: 'x'.repeat(80) }; // about 100 bytes, as everywhere in these benchmarks

/** Milliseconds, with their fractions: sender and handler are one process. */
const now = () => performance.now();

const seconds = async (work) => {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
};

const percentile = (list, share) => list.toSorted((a, b) => a - b)[Math.floor(share * (list.length - 1))];

/** peer: {add(payload), addMany(payloads), drain(count) → seconds, listen(started), close()} */
export async function measure(peer) {
  let left = SINGLES;
  const single = await seconds(() =>
    Promise.all(
      Array.from({ length: CALLERS }, async () => {
        while (left-- > 0) await peer.add(PAYLOAD);
      }),
    ),
  );
  const batch = Array.from({ length: 1000 }, () => PAYLOAD);
  const bulk = await seconds(async () => {
    for (let i = 0; i < BULK; i += batch.length) await peer.addMany(batch);
  });
  const drained = await peer.drain(SINGLES + BULK);
  const waits = [];
  await peer.listen((payload) => waits.push(now() - payload.at));
  for (let i = 0; i < LATENCY; i++) {
    await peer.add({ ...PAYLOAD, at: now() });
    await sleep(20);
  }
  while (waits.length < LATENCY) await sleep(10);
  await peer.close();
  console.log(
    JSON.stringify({
      single_per_s: SINGLES / single,
      bulk_per_s: BULK / bulk,
      drain_per_s: (SINGLES + BULK) / drained,
      start_p50_ms: percentile(waits, 0.5),
      start_p99_ms: percentile(waits, 0.99),
    }),
  );
}
