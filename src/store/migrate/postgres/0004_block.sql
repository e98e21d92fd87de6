-- Plain tasks of a queue, many in one row (docs/blocks.md).

-- They wait, and are alike but for their payloads.
CREATE TABLE block (
    id         BIGINT  PRIMARY KEY,         -- of its first task; the numbers after it are the others'
    queue      TEXT COLLATE "C" NOT NULL,
    priority   BIGINT  NOT NULL,
    retry      TEXT    NOT NULL,            -- core/retry's text; '': the default
    n          BIGINT  NOT NULL,            -- tasks, those that were taken included
    taken      BIGINT  NOT NULL DEFAULT 0,  -- its first tasks, which were claimed
    created_at BIGINT  NOT NULL,
    payloads   TEXT    NOT NULL             -- of each task "BYTES:PAYLOAD"
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX block_ready ON block (queue, priority DESC, id);

-- Neighbours of a block that one worker holds; their tokens are neighbours, too.
CREATE TABLE piece (
    task       BIGINT  PRIMARY KEY,         -- the first
    n          BIGINT  NOT NULL,
    token      BIGINT  NOT NULL,            -- of the first
    worker     BIGINT  NOT NULL,
    queue      TEXT COLLATE "C" NOT NULL,
    priority   BIGINT  NOT NULL,
    retry      TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    leased_at  BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL,            -- 0: the worker's heartbeat keeps it
    payloads   TEXT    NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX piece_worker ON piece (worker);
CREATE INDEX piece_expires ON piece (expires_at) WHERE expires_at <> 0;

-- Pieces all of whose tasks succeeded: their attempts.
CREATE TABLE ended (
    token      BIGINT  PRIMARY KEY,         -- of the first
    task       BIGINT  NOT NULL,            -- the first
    n          BIGINT  NOT NULL,
    queue      TEXT COLLATE "C" NOT NULL,
    worker     BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    leased_at  BIGINT  NOT NULL,
    ended_at   BIGINT  NOT NULL,            -- when it was told
    details    TEXT    NOT NULL             -- of each task what its worker told (engine/block_end.c)
);
CREATE INDEX ended_task ON ended (task);
CREATE INDEX ended_old ON ended (queue, ended_at);

-- Texts of that length are not worth the time that it takes to compress them.
ALTER TABLE block ALTER COLUMN payloads SET STORAGE EXTERNAL;
ALTER TABLE piece ALTER COLUMN payloads SET STORAGE EXTERNAL;
ALTER TABLE ended ALTER COLUMN details SET STORAGE EXTERNAL;

-- A number that is drawn stands for itself and the 127 after it: store/postgres.c gives them out one by one, so that
-- those of a block are neighbours.
ALTER SEQUENCE ids INCREMENT BY 128;
