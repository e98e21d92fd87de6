// SPDX-License-Identifier: Apache-2.0
//
// What a user of Node would do over gRPC, against test/fake_server. Prints TAP; run by
// grpc_node_test.py.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const SOURCE = process.env.WEFT_SOURCE;
const CASE_MS_MAX = 30000;
const { status } = grpc;

function load(...files) {
  const includeDirs = [path.join(SOURCE, 'proto'), path.join(SOURCE, 'src/net/proto')];
  return grpc.loadPackageDefinition(loader.loadSync(files, { includeDirs, keepCase: true, longs: String }));
}

const weft = load('weft/v1/queue.proto', 'weft/v1/run.proto').weft.v1;
const health = load('grpc/health/v1/health.proto').grpc.health.v1;
const reflection = load('grpc/reflection/v1alpha/reflection.proto').grpc.reflection.v1alpha;

class Server {
  static async start(...options) {
    const server = new Server();
    server.process = spawn(process.env.FAKE_SERVER, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    server.ended = new Promise((resolve) => server.process.on('exit', resolve));
    server.lines = readline.createInterface({ input: server.process.stdout })[Symbol.asyncIterator]();
    server.address = await server.line();
    return server;
  }

  async line() {
    return (await this.lines.next()).value;
  }

  order(text) {
    this.process.stdin.write(`${text}\n`);
    return this.line();
  }

  async status() {
    return JSON.parse(await this.order('status'));
  }

  async until(name, wanted) {
    while ((await this.status())[name] !== wanted) await pause(10);
  }

  async stop() {
    this.process.stdin.end();
    assert.strictEqual(await this.ended, 0);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Client {
  constructor(address, credentials = grpc.credentials.createInsecure(), options = {}) {
    this.queues = new weft.Queues(address, credentials, options);
    this.runs = new weft.Runs(address, credentials, options);
    this.health = new health.Health(address, credentials, options);
    this.reflection = new reflection.ServerReflection(address, credentials, options);
  }

  get(queue, options = {}) {
    return call(this.queues, 'Get', { queue }, new grpc.Metadata(), options).reply;
  }

  close() {
    for (const stub of [this.queues, this.runs, this.health, this.reflection]) stub.close();
  }
}

// { call, reply }: what can be cancelled, and the promise of the reply.
function call(stub, method, request, metadata = new grpc.Metadata(), options = {}) {
  const result = {};
  result.reply = new Promise((resolve, reject) => {
    result.call = stub[method](request, metadata, options, (e, reply) => (e ? reject(e) : resolve(reply)));
  });
  result.reply.catch(() => {});
  return result;
}

async function refused(promise, code) {
  try {
    await promise;
  } catch (e) {
    assert.strictEqual(e.code, code, e.message);
    return e;
  }
  throw new Error(`the call was not refused with ${status[code]}`);
}

const cases = {
  async unary_calls_alone_and_together(server, client) {
    assert.strictEqual((await client.get('mail')).name, 'mail');
    const names = Array.from({ length: 500 }, (_, i) => `q${i}`);
    const replies = await Promise.all(names.map((n) => client.get(n)));
    assert.deepStrictEqual(replies.map((r) => r.name), names);
  },

  async metadata_comes_along(server, client) {
    const metadata = new grpc.Metadata();
    metadata.set('idempotency-key', 'key-1');
    const request = { queue: 'mail', tasks: [{ payload: '{}' }, { payload: '1' }] };
    const reply = await call(client.queues, 'Enqueue', request, metadata).reply;
    assert.deepStrictEqual(reply.ids, ['1', '2']);
    assert.strictEqual((await server.status()).key, 'key-1');
  },

  async errors_have_code_message_and_hint(server, client) {
    const e = await refused(client.get('fail'), status.RESOURCE_EXHAUSTED);
    assert.strictEqual(e.details, '50 % is too much: größer');
    assert.deepStrictEqual(e.metadata.get('weft-code'), ['queue_full']);
    assert.deepStrictEqual(e.metadata.get('grpc-retry-pushback-ms'), ['1500']);
    await refused(call(client.queues, 'Purge', {}).reply, status.UNIMPLEMENTED);
  },

  async deadlines_end_calls(server, client) {
    await refused(client.get('hang', { deadline: Date.now() + 300 }), status.DEADLINE_EXCEEDED);
    await server.until('cancelled', 1);
    assert.strictEqual((await client.get('mail')).name, 'mail');
  },

  async cancelling_reaches_the_server(server, client) {
    const hanging = call(client.queues, 'Get', { queue: 'hang' });
    await server.until('started', 1);
    hanging.call.cancel();
    await refused(hanging.reply, status.CANCELLED);
    await server.until('cancelled', 1);
  },

  async a_slow_reader_gets_20000_messages_in_order(server, client) {
    let seen = 0;
    for await (const event of client.runs.Watch({ id: 'r1', after: '20000' })) {
      assert.strictEqual(event.seq, String(++seen));
      if (seen % 1000 === 0) await pause(10);
    }
    assert.strictEqual(seen, 20000);
  },

  async messages_over_the_limit_are_refused(server, client) {
    assert.strictEqual((await client.get('x'.repeat(3 << 20))).name.length, 3 << 20);
    // Node takes no headers on a connection that has so much to send; so it makes up the error itself.
    await refused(client.get('x'.repeat(17 << 20)), status.RESOURCE_EXHAUSTED);
  },

  async draining_lets_calls_end(server, client) {
    const later = Array.from({ length: 20 }, () => client.get('later'));
    await server.until('started', 20);
    assert.strictEqual(await server.order('drain'), 'draining');
    assert.strictEqual(await server.order('finish'), 'finished');
    assert.strictEqual((await Promise.all(later)).length, 20);
    assert.strictEqual(await server.line(), 'drained');
    await refused(client.get('mail', { deadline: Date.now() + 5000 }), status.UNAVAILABLE);
  },

  async health_is_checked_and_watched(server, client) {
    assert.strictEqual((await call(client.health, 'Check', {}).reply).status, 1);
    await refused(call(client.health, 'Check', { service: 'nobody' }).reply, status.NOT_FOUND);
    const watch = client.health.Watch({});
    watch.on('error', () => {});
    const seen = watch[Symbol.asyncIterator]();
    assert.strictEqual((await seen.next()).value.status, 1);
    await server.order('health off');
    assert.strictEqual((await seen.next()).value.status, 2);
    watch.cancel();
  },

  async reflection_describes_the_api(server, client) {
    const dialogue = client.reflection.ServerReflectionInfo();
    dialogue.write({ list_services: '' });
    const seen = dialogue[Symbol.asyncIterator]();
    const names = (await seen.next()).value.list_services_response.service.map((s) => s.name);
    assert.ok(names.includes('weft.v1.Queues'));
    dialogue.write({ file_containing_symbol: 'weft.v1.Queue' });
    assert.ok((await seen.next()).value.file_descriptor_response.file_descriptor_proto.length >= 3);
    dialogue.end();
    assert.ok((await seen.next()).done);
  },

  async keep_alive_pings_are_answered(server) {
    const client = new Client(server.address, undefined, {
      'grpc.keepalive_time_ms': 200, 'grpc.keepalive_timeout_ms': 5000, 'grpc.keepalive_permit_without_calls': 1,
    });
    const later = client.get('later');
    await server.until('started', 1);
    await pause(1500);
    await server.order('finish');
    assert.strictEqual((await later).name, 'later');
    client.close();
  },
};

const file = (name) => path.join(process.env.CERTS, name);

async function tls(server) {
  const client = new Client(server.address, grpc.credentials.createSsl(readFileSync(file('ca.pem'))));
  assert.strictEqual((await client.get('mail')).name, 'mail');
  assert.strictEqual((await client.get('x'.repeat(3 << 20))).name.length, 3 << 20);
  let seen = 0;
  for await (const event of client.runs.Watch({ id: 'r1', after: '20000' })) seen = Number(event.seq);
  assert.strictEqual(seen, 20000);
  client.close();
}
tls.options = ['--cert', file('server.pem'), '--key', file('server.key')];
cases.tls_carries_everything = tls;

async function mutual(server) {
  const [ca, key, certificate] = ['ca.pem', 'client.key', 'client.pem'].map((n) => readFileSync(file(n)));
  const known = new Client(server.address, grpc.credentials.createSsl(ca, key, certificate));
  assert.strictEqual((await known.get('mail')).name, 'mail');
  known.close();
  const unknown = new Client(server.address, grpc.credentials.createSsl(ca));
  await refused(unknown.get('mail', { deadline: Date.now() + 10000 }), status.UNAVAILABLE);
  unknown.close();
}
mutual.options = [...tls.options, '--ca', file('ca.pem')];
cases.mutual_tls_wants_a_certificate = mutual;

async function run(body) {
  const server = await Server.start(...(body.options ?? []));
  const client = new Client(server.address);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('it takes too long')), CASE_MS_MAX);
  });
  try {
    await Promise.race([body(server, client), late]);
    client.close();
    await server.stop();
  } finally {
    clearTimeout(timer);
    client.close();
    server.process.kill('SIGKILL');
  }
}

async function main(chosen) {
  const names = Object.keys(cases).filter((n) => chosen.length === 0 || chosen.includes(n));
  let failed = false;
  console.log(`1..${names.length}`);
  for (const [i, name] of names.entries()) {
    try {
      await run(cases[name]);
      console.log(`ok ${i + 1} ${name}`);
    } catch (e) {
      failed = true;
      console.log(String(e.stack).replace(/^/gm, '# '));
      console.log(`not ok ${i + 1} ${name}`);
    }
  }
  process.exit(failed ? 1 : 0);
}

main(process.argv.slice(2));
