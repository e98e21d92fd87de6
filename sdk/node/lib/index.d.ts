// SPDX-License-Identifier: Apache-2.0

/** Seconds, or as the API writes them ('5s'). */
export type Seconds = number | string;
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export class WeftError extends Error {
  readonly code: string;
}
export class Refused extends WeftError {
  readonly status: number;
  readonly details: { line?: number; column?: number; text: string }[];
}
export class Unavailable extends WeftError {
  readonly retryAfter?: number;
}
export class BreakerOpen extends Unavailable {}
export class LeaseLost extends WeftError {}

export class Retry {
  constructor(options?: { attempts?: number; base?: number; factor?: number; cap?: number; jitter?: number; random?: () => number });
  pause(failures: number, retryAfter?: number): number;
}

export class Breaker {
  constructor(options?: { failures?: number; rest?: number; successes?: number; clock?: () => number });
  readonly state: 'CLOSED' | 'OPEN' | 'HALF_OPEN';
  readonly failures: number;
  permit(): number;
  succeeded(): void;
  failed(): void;
}

export interface RetryPolicy {
  max_attempts?: number;
  backoff_base?: string;
  backoff_factor?: number;
  backoff_cap?: string;
  jitter?: number;
  retry_on?: string[];
}

export interface TaskFields {
  priority?: number;
  delay?: Seconds;
  not_before?: string;
  unique_key?: string;
  unique_for?: Seconds;
  key?: string;
  retry?: RetryPolicy;
  timeout?: Seconds;
}
export class Task {
  constructor(payload: Json, fields?: TaskFields);
}

export interface QueueSettings {
  paused?: boolean;
  tasks_max?: number;
  concurrency_max?: number;
  key_concurrency?: number;
  rate?: number;
  rate_burst?: number;
  fair?: boolean;
  claim_ttl?: Seconds;
  retention?: Seconds;
  retry?: RetryPolicy;
  task_timeout?: Seconds;
  etag?: string;
}
export interface TaskCounts {
  blocked?: number;
  ready?: number;
  delayed?: number;
  leased?: number;
  running?: number;
  awaiting?: number;
  succeeded?: number;
  failed?: number;
  cancelled?: number;
  skipped?: number;
}
export interface Queue extends QueueSettings {
  name: string;
  counts: TaskCounts;
  created_at?: string;
  oldest_ready_at?: string;
}
export interface QueueTask {
  id: string;
  state: string;
  payload?: Json;
  priority?: number;
  key?: string;
  attempts?: number;
  reason?: string;
  message?: string;
  created_at?: string;
  due_at?: string;
  ended_at?: string;
}
export interface GivenLease {
  token: string;
  expires_at: string;
  deadline_at?: string;
  task: { id: string; queue?: string; payload?: Json; attempt: number; key?: string; priority?: number };
}
export interface Result {
  token: string;
  outcome: 'succeeded' | 'failed' | 'timed_out' | 'cancelled';
  result?: Json;
  error?: { code?: string; message?: string };
}
export interface ItemResult {
  code: string;
  message?: string;
}

export interface CallOptions {
  query?: Record<string, string>;
  timeout?: number;
  retry?: Retry;
  once?: string;
  probe?: boolean;
  again?: () => void;
}

export class Client {
  constructor(url?: string, options?: { timeout?: number; retry?: Retry; breaker?: Breaker });
  call(verb: string, path: string, body?: Json, options?: CallOptions): Promise<any>;
  putQueue(queue: string, settings?: QueueSettings): Promise<Queue>;
  queue(queue: string): Promise<Queue>;
  queues(): AsyncGenerator<Queue>;
  enqueue(queue: string, tasks: (Json | Task)[]): Promise<string[]>;
  claim(queue: string, worker: string, options?: { max?: number; wait?: number; ttl?: Seconds; once?: string; again?: () => void }): Promise<GivenLease[]>;
  complete(results: Result[]): Promise<ItemResult[]>;
  release(tokens: string[]): Promise<ItemResult[]>;
  renew(
    leases: { token: string; percent?: number; message?: string }[],
    ttl?: Seconds,
  ): Promise<(ItemResult & { expires_at?: string; stop?: boolean })[]>;
  pause(queue: string): Promise<Queue>;
  resume(queue: string): Promise<Queue>;
  requeue(queue: string, which?: { ids?: string[]; max?: number }): Promise<number>;
  deadLetters(queue: string): AsyncGenerator<QueueTask>;
  status(): Promise<any>;
  health(): Promise<{ health: 'healthy' | 'degraded' | 'unhealthy'; reason?: string }>;
  worker(options?: WorkerOptions): Promise<Worker>;
  runner(options?: RunnerOptions): Runner;
}

export interface WorkerOptions {
  name?: string;
  slots?: number;
  ttl?: number;
  outbox?: string;
  labels?: Record<string, string>;
  metadata?: Record<string, string>;
  takeover?: boolean;
  log?: (text: string) => void;
}

export class Lease {
  readonly token: string;
  readonly id: string;
  readonly queue: string;
  readonly payload: any;
  readonly attempt: number;
  readonly key?: string;
  readonly lost: boolean;
  readonly ended: boolean;
  readonly signal: AbortSignal;
  progress(percent?: number, message?: string): Promise<void>;
  complete(result?: Json): void;
  fail(message: string, code?: string): void;
  cancelled(message?: string): void;
  release(): void;
}

export class Worker {
  readonly id: string;
  readonly name: string;
  readonly local: boolean;
  claim(queue: string, options?: { max?: number; wait?: number }): Promise<Lease[]>;
  run(
    queue: string,
    handle: (lease: Lease) => Json | void | Promise<Json | void>,
    options?: { batch?: number; wait?: number; untilEmpty?: boolean },
  ): Promise<void>;
  drain(): Promise<void>;
  stop(): void;
  close(): Promise<void>;
}

export interface RunnerOptions {
  name?: string;
  slots?: number;
  listen?: string;
  address?: string;
  ttl?: number;
  labels?: Record<string, string>;
  metadata?: Record<string, string>;
  version?: string;
  takeover?: boolean;
  /** ServerCredentials of @grpc/grpc-js. */
  credentials?: unknown;
  log?: (text: string) => void;
}

export class Failed extends WeftError {
  constructor(message: string, options?: { code?: string; final?: boolean });
  readonly final: boolean;
}

export class Context {
  readonly token: string;
  readonly run: string;
  readonly task: string;
  readonly name: string;
  readonly type: string;
  readonly attempt: number;
  readonly mode: 'sync' | 'async';
  readonly args: any;
  readonly checks: { name: string; kind: string; options: any; goal: string }[];
  readonly deadline: number | null;
  readonly progressEvery: number | null;
  readonly callback: string;
  readonly signal: AbortSignal;
  left(): number;
  progress(percent?: number, message?: string, details?: Json): Promise<void>;
  check(name: string, update?: { data?: Json; failure?: string | Error | { code?: string; message?: string }; finalize?: boolean }): void;
}

export class Runner {
  constructor(client: Client, options: RunnerOptions & { name: string });
  readonly name: string;
  readonly address?: string;
  readonly local: boolean;
  stage(
    type: string,
    work: (context: Context) => Json | void | Promise<Json | void>,
    options?: { mode?: 'sync' | 'async'; slots?: number },
  ): this;
  start(): Promise<this>;
  serve(options?: { patience?: number }): Promise<void>;
  stop(): void;
  drain(options?: { patience?: number }): Promise<boolean>;
  close(options?: { patience?: number }): Promise<void>;
}

export interface Summary {
  queue: string;
  batch: number;
  worker: string;
  claimed: number;
  processed: number;
  succeeded: number;
  failed: number;
  success_rate_percent: number;
  errors: { id: string; error: string }[];
  error_count: number;
  message?: string;
}
export function runFlow(
  worker: Worker,
  queue: string,
  process: (payload: any) => Json | void | Promise<Json | void>,
  options?: { batch?: number },
): Promise<Summary>;

export function instanceId(): string;
