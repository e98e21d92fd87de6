-- Plain tasks of a queue, many in one row (docs/blocks.md).

-- They wait, and are alike but for their payloads.
CREATE TABLE block (
    id         INTEGER PRIMARY KEY,         -- of its first task; the numbers after it are the others'
    queue      TEXT    NOT NULL,
    priority   INTEGER NOT NULL,
    retry      TEXT    NOT NULL,            -- core/retry's text; '': the default
    n          INTEGER NOT NULL,            -- tasks, those that were taken included
    taken      INTEGER NOT NULL DEFAULT 0,  -- its first tasks, which were claimed
    created_at INTEGER NOT NULL,
    payloads   TEXT    NOT NULL             -- of each task "BYTES:PAYLOAD"
) STRICT;
CREATE INDEX block_ready ON block (queue, priority DESC, id);

-- Neighbours of a block that one worker holds; their tokens are neighbours, too.
CREATE TABLE piece (
    task       INTEGER PRIMARY KEY,         -- the first
    n          INTEGER NOT NULL,
    token      INTEGER NOT NULL,            -- of the first
    worker     INTEGER NOT NULL,
    queue      TEXT    NOT NULL,
    priority   INTEGER NOT NULL,
    retry      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    leased_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,            -- 0: the worker's heartbeat keeps it
    payloads   TEXT    NOT NULL
) STRICT;
CREATE INDEX piece_worker ON piece (worker);
CREATE INDEX piece_expires ON piece (expires_at) WHERE expires_at <> 0;

-- Pieces all of whose tasks succeeded: their attempts.
CREATE TABLE ended (
    token      INTEGER PRIMARY KEY,         -- of the first
    task       INTEGER NOT NULL,            -- the first
    n          INTEGER NOT NULL,
    queue      TEXT    NOT NULL,
    worker     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    leased_at  INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,            -- when it was told
    details    TEXT    NOT NULL             -- of each task what its worker told (engine/block_end.c)
) STRICT;
CREATE INDEX ended_task ON ended (task);
CREATE INDEX ended_old ON ended (queue, ended_at);
