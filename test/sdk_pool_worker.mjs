// SPDX-License-Identifier: Apache-2.0
// A process of a pool, for sdk_pool_test.py; .py and .c do the same. argv: calls in flight.
import fs from 'node:fs';

import { Failed, PoolWorker } from '../sdk/node/lib/pool_worker.js';

const { MESSAGE_MAX } = process.env;
const worker = new PoolWorker({
  inFlight: Number(process.argv[2] ?? 1),
  sessions: 1000,
  messageMax: MESSAGE_MAX ? Number(MESSAGE_MAX) : undefined,
});
const ended = [];
const counted = (session) => session.get('n') ?? 0;

worker.command('echo', (call) => call.args);
worker.command('sleep', async (call) => ((await call.wait(call.args.ms)) ? 'left' : 'slept'));
worker.command('fail', ({ args }) => {
  throw new Failed(args.message, args);
});
worker.command('print', () => {
  console.log('Loading');
  fs.writeSync(1, 'model\n');
});
worker.command('read_stdin', () => fs.readSync(0, Buffer.alloc(100)));
worker.command('count', ({ session }) => {
  session.set('n', counted(session) + 1);
  return session.get('n');
});
worker.command('ended', () => ended);
worker.command('stream', function* ({ args }) {
  for (let i = 0; i < args.n; i++) yield i;
  return 'end';
});
worker.command('big', ({ args }) => 'x'.repeat(args.bytes));
worker.command('deep', ({ args }) => {
  let value = [];
  for (let i = 1; i < args.levels; i++) value = [value];
  return value;
});
worker.onEndSession((session) => {
  ended.push([session.id, counted(session)]);
});
worker.snapshots(
  (session) => ({ n: counted(session) }),
  (session, data) => {
    session.set('n', data.n);
  },
);
// In Node alone.
worker.command('half', () => 'a\ud83d "\\ud83d"');
worker.command('raise', () => null.nothing);
worker.command('no_json', () => 1n);
worker.command('later', async function* () {
  yield await Promise.resolve(1);
  return 2;
});
worker.serve();
