// SPDX-License-Identifier: Apache-2.0
// weft.v1.Runner over gRPC, for a Runner; with @grpc/grpc-js and @grpc/proto-loader, which are needed for nothing else.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { WeftError } from './errors.js';
import { Refusal } from './runner.js';

const PROTO = fileURLToPath(new URL('../proto', import.meta.url));
const OPTIONS = { 'grpc.so_reuseport': 0, 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

function libraries() {
  const require = createRequire(import.meta.url);
  try {
    return [require('@grpc/grpc-js'), require('@grpc/proto-loader')];
  } catch (error) {
    throw new WeftError('internal', `a runner needs @grpc/grpc-js and @grpc/proto-loader: ${error.message.split('\n')[0]}`);
  }
}

const text = (value) => (value === undefined || value === null ? undefined : JSON.stringify(value));

/** A stage's end, as a message. */
const message = (report) => ({
  ...report,
  result: text(report.result),
  checks: report.checks?.map((update) => ({ ...update, data: text(update.data) })),
});

/** Says whether somebody still waits for the answer to a call. */
const waiting = (call) => () => !call.cancelled && Number(call.getDeadline()) > Date.now();

/** A gRPC server that listens, and its port. */
export async function startService(runner, listen, credentials) {
  const [grpc, loader] = libraries();
  const loaded = loader.loadSync('weft/v1/runner.proto', { includeDirs: [PROTO], keepCase: true, longs: Number });
  const server = new grpc.Server(OPTIONS);

  const run = async (call, answer) => {
    let stage;
    try {
      stage = await runner.take(call.request, 'sync', waiting(call));
    } catch (error) {
      const code = error instanceof Refusal ? grpc.status.FAILED_PRECONDITION : grpc.status.INTERNAL;
      return answer({ code, details: error.message });
    }
    let waits = true;
    const hangUp = () => {
      if (waits) runner.hangUp(stage);
      waits = false;
    };
    call.on('cancelled', hangUp);
    if (call.cancelled) hangUp();
    const report = await stage.done;
    if (!waits) return undefined;
    hangUp();
    return answer(null, message(report));
  };

  const runAsync = async (call, answer) => {
    try {
      await runner.take(call.request, 'async', waiting(call));
      answer(null, { accepted: true });
    } catch (error) {
      if (error instanceof Refusal) answer(null, { accepted: false, reason: error.message });
      else answer({ code: grpc.status.INTERNAL, details: error.message });
    }
  };

  server.addService(grpc.loadPackageDefinition(loaded).weft.v1.Runner.service, {
    Run: run,
    RunAsync: runAsync,
    Cancel({ request }, answer) {
      runner.cancel(request.token, request.reason);
      answer(null, {});
    },
    Ping({ request }, answer) {
      answer(null, runner.ping(request.worker));
    },
  });
  const port = await new Promise((resolve, reject) => {
    const bound = (error, number) => (error ? reject(error) : resolve(number));
    server.bindAsync(listen, credentials ?? grpc.ServerCredentials.createInsecure(), bound);
  });
  return { server, port };
}
