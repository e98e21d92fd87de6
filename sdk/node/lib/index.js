// SPDX-License-Identifier: Apache-2.0
export { Breaker, Retry } from './breaker.js';
export { Client, Task, instanceId } from './client.js';
export { BreakerOpen, LeaseLost, Refused, Unavailable, WeftError } from './errors.js';
export { runFlow } from './flow.js';
export { Runner } from './runner.js';
export { Context, Failed } from './stage.js';
export { Lease, Worker } from './worker.js';
