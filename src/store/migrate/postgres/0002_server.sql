-- What the server needs: replies that are kept for requests with an idempotency key.

CREATE TABLE idempotency (
    key    TEXT    NOT NULL,                -- as the client gave it
    method TEXT    NOT NULL,
    digest TEXT    NOT NULL,                -- of the request: the same key with another is a conflict
    reply  TEXT    NOT NULL,                -- as JSON
    at     BIGINT NOT NULL,
    PRIMARY KEY (key, method)
);
CREATE INDEX idempotency_at ON idempotency (at);

-- Workers that register from outside: what they say about themselves, as JSON objects.
ALTER TABLE worker ADD COLUMN labels   TEXT NOT NULL DEFAULT '{}';
ALTER TABLE worker ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE worker ADD COLUMN metrics  TEXT NOT NULL DEFAULT '{}'; -- as last reported
CREATE INDEX worker_name ON worker (name, incarnation);
CREATE INDEX worker_over ON worker (ended_at) WHERE state IN ('LOST', 'GONE');
-- Who claims without having registered is one row per name.
CREATE UNIQUE INDEX worker_guest ON worker (name) WHERE kind = 'guest' AND state NOT IN ('LOST', 'GONE');

-- Settings of queues; 0 where there is no limit.
ALTER TABLE queue ADD COLUMN concurrency_max BIGINT  NOT NULL DEFAULT 0;          -- leases at once
ALTER TABLE queue ADD COLUMN key_concurrency BIGINT  NOT NULL DEFAULT 0;          -- leases at once of one key
ALTER TABLE queue ADD COLUMN rate_milli      BIGINT  NOT NULL DEFAULT 0;          -- claims in 1000 seconds
ALTER TABLE queue ADD COLUMN rate_burst      BIGINT  NOT NULL DEFAULT 0;          -- claims at once; 0: one second's worth
ALTER TABLE queue ADD COLUMN fair            BIGINT  NOT NULL DEFAULT 0;          -- 1: keys take turns
ALTER TABLE queue ADD COLUMN claim_ttl_us    BIGINT  NOT NULL DEFAULT 3600000000; -- of a lease without a registered worker
ALTER TABLE queue ADD COLUMN retention_us    BIGINT  NOT NULL DEFAULT 604800000000; -- of attempts that ended
ALTER TABLE queue ADD COLUMN retry           TEXT    NOT NULL DEFAULT '';         -- of tasks that bring none, core/retry's text
ALTER TABLE queue ADD COLUMN task_timeout_us BIGINT  NOT NULL DEFAULT 0;          -- likewise
ALTER TABLE queue ADD COLUMN version         BIGINT  NOT NULL DEFAULT 1;          -- grows with each change of the settings

-- A lease that no heartbeat keeps has an end of its own; what the holder told of its progress.
ALTER TABLE task ADD COLUMN expires_at BIGINT  NOT NULL DEFAULT 0;  -- of the live lease; 0: its worker's heartbeat keeps it
ALTER TABLE task ADD COLUMN percent    BIGINT  NOT NULL DEFAULT -1; -- of the live lease; -1: nothing was told
ALTER TABLE task ADD COLUMN progress   TEXT    NOT NULL DEFAULT ''; -- likewise, its newest message
CREATE INDEX task_expires ON task (expires_at) WHERE expires_at <> 0 AND state IN ('LEASED', 'RUNNING');

-- 1: the program that started the run carries it, and the servers' executors leave it alone, as they do with
-- all the runs of the time before there were servers.
ALTER TABLE run ADD COLUMN local BIGINT NOT NULL DEFAULT 1;

-- Tasks of queues. `key` and the settings of the queue decide who may go (docs/queue.md): `turn` orders the tasks of a
-- fair queue, `gate` holds back those whose key has all the leases that it may have.
ALTER TABLE task ADD COLUMN key        TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE task ADD COLUMN unique_key TEXT COLLATE "C" NOT NULL DEFAULT ''; -- its row in `uniqueness`
ALTER TABLE task ADD COLUMN turn       BIGINT  NOT NULL DEFAULT 0;  -- before the id in the order; 0: the queue was not fair
ALTER TABLE task ADD COLUMN gate       BIGINT  NOT NULL DEFAULT 0;  -- 0: no limit, 1: has a place of its key, 2: waits for one
DROP INDEX task_ready;
CREATE INDEX task_ready ON task (run, queue, priority DESC, turn, id) WHERE state = 'READY' AND gate < 2;
CREATE INDEX task_gate ON task (queue, key, priority DESC, id) WHERE gate = 2;
CREATE INDEX task_turn ON task (queue, key, priority, turn) WHERE state = 'READY' AND turn > 0;
CREATE INDEX task_due_of ON task (run, queue, due_at) WHERE state = 'DELAYED';
CREATE INDEX task_deadline ON task (deadline_at) WHERE deadline_at <> 0 AND state IN ('LEASED', 'RUNNING');

-- What a queue's rate has left: claims in millionths, and when that was counted.
ALTER TABLE queue ADD COLUMN bucket    BIGINT  NOT NULL DEFAULT -1; -- -1: full
ALTER TABLE queue ADD COLUMN bucket_at BIGINT  NOT NULL DEFAULT 0;

-- Places that tasks of a key have, where the queue limits them; no row: none.
CREATE TABLE lane (
    queue  TEXT COLLATE "C" NOT NULL,
    key    TEXT COLLATE "C" NOT NULL,
    places BIGINT  NOT NULL,
    PRIMARY KEY (queue, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);

-- Unique keys: taken while the task lives, and until a time.
CREATE TABLE uniqueness (
    queue      TEXT COLLATE "C" NOT NULL,
    unique_key TEXT COLLATE "C" NOT NULL,
    task       BIGINT  NOT NULL,
    until      BIGINT  NOT NULL,
    live       BIGINT  NOT NULL,              -- 1: the task has not ended
    PRIMARY KEY (queue, unique_key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX uniqueness_over ON uniqueness (until) WHERE live = 0;

-- Counts of a queue are kept in as many rows as programs write, so that none waits for another's commit; they are added
-- up by who reads.
ALTER TABLE tally ADD COLUMN shard BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE tally DROP CONSTRAINT tally_pkey;
ALTER TABLE tally ADD PRIMARY KEY (run, queue, state, shard);

-- What one of the servers does for all: a lease on a row, renewed while it lives.
CREATE TABLE duty (
    name       TEXT COLLATE "C" PRIMARY KEY,         -- 'reaper'
    holder     TEXT   NOT NULL,
    token      BIGINT NOT NULL,              -- grows with each holder
    expires_at BIGINT NOT NULL
);

-- What a queue keeps: attempts are forgotten by their age, dead letters are few among many tasks.
CREATE INDEX attempt_old ON attempt (queue, ended_at) WHERE queue <> '';
CREATE INDEX task_dead ON task (queue, id) WHERE run = 0 AND state = 'FAILED';
