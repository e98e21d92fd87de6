#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Work on the records of a queue until it is empty, then tell how it went.
//
//   worker.mjs [QUEUE]       default: records; the server is WEFT_SERVER, or the one of this machine

import { Client, runFlow } from '../../sdk/node/lib/index.js';

/** What a parcel's label shows, in ASCII. A name that does not fold into it is somebody's work. */
function label(record) {
  const name = record.name.normalize('NFKD').replace(/\p{M}/gu, '');
  const odd = name.match(/[^\x20-\x7e]/u);
  if (odd) throw new Error(`${record.code}: ${odd[0]} of ${record.name} does not fold into ASCII`);
  return { label: `${name.toUpperCase()}, ${record.code.slice(0, 2)}` };
}

const queue = process.argv[2] ?? 'records';
const total = { claimed: 0, succeeded: 0, errors: [] };
const worker = await new Client().worker({ slots: 200 });
for (;;) {
  const summary = await runFlow(worker, queue, label, { batch: 100 });
  if (!summary.claimed) break;
  total.claimed += summary.claimed;
  total.succeeded += summary.succeeded;
  total.errors.push(...summary.errors);
}
await worker.close();
const rate = total.claimed ? (100 * total.succeeded) / total.claimed : 0;
console.log(`${worker.name} (Node): ${total.claimed} records, ${rate.toFixed(2)} % succeeded`);
for (const { error } of total.errors.slice(0, 3)) console.log(`  ${error}`);
