// SPDX-License-Identifier: Apache-2.0
// The runner that runs tests: node tester.mjs SERVER
import { spawn } from 'node:child_process';
import path from 'node:path';

import { Client, Failed, Runner } from '../../sdk/node/lib/index.js';

const TAIL_CHARS = 2000;

/** What a program wrote, and how it ended. */
function runProgram(file, env, signal) {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(file, [], { signal, cwd: path.dirname(file), env: { ...process.env, ...env } });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('error', (error) => resolve({ status: error.message, output }));
    child.on('close', (code, by) => resolve({ status: code ?? by, output }));
  });
}

async function test(ctx) {
  const { out, source, tests } = ctx.args;
  const env = { WEFT_SOURCE: source, CMOCKA_MESSAGE_OUTPUT: 'TAP' };
  let passed = 0;
  const failed = [];
  for (const [n, file] of tests.entries()) {
    const name = path.basename(file, '.c');
    const { status, output } = await runProgram(path.join(out, name), env, ctx.signal);
    passed += output.match(/^ok /gm)?.length ?? 0;
    if (status !== 0) failed.push(`${name} ended with ${status}: ${output.slice(-TAIL_CHARS)}`);
    await ctx.progress((100 * (n + 1)) / tests.length, name);
  }
  const failure = failed.length ? { code: 'tests', message: failed.join('\n') } : undefined;
  ctx.check('tests pass', { data: { config: ctx.name, passed }, failure, finalize: false });
  if (failure) throw new Failed(failure.message, { code: 'tests', final: true });
  return { passed };
}

const runner = new Runner(new Client(process.argv[2]), { name: 'tester', slots: 2 });
runner.stage('test', test, { mode: 'async' });
await runner.serve();
