// SPDX-License-Identifier: Apache-2.0

import type { Json } from './index.js';

export class Failed extends Error {
  constructor(message: string, options?: { kind?: string; details?: Json });
  readonly kind: string;
  readonly details?: Json;
}

export class Session extends Map<string, unknown> {
  readonly id: string | null;
}

/** Times in milliseconds. */
export interface Call {
  readonly id: number;
  readonly command: string;
  readonly args: Json;
  readonly sessionId: string | null;
  readonly session: Session;
  readonly cancelled: boolean;
  readonly signal: AbortSignal;
  left(): number | null;
  wait(ms: number): Promise<boolean>;
}

type Later<T> = T | Promise<T>;
export type Work = (call: Call) => Later<Json | void> | Generator<Json, Json | void> | AsyncGenerator<Json, Json | void>;

export class PoolWorker {
  constructor(options?: { inFlight?: number; sessions?: number; messageMax?: number });
  readonly inFlight: number;
  command(name: string, work: Work): this;
  onEndSession(work: (session: Session) => Later<void>): this;
  snapshots(snapshot: (session: Session) => Later<Json>, restore: (session: Session, data: Json) => Later<void>): this;
  serve(): void;
}
