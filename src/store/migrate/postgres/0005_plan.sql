-- Work plans (docs/plans.md): runs that grow until they are sealed, checks and stages, runners that are called.

ALTER TABLE run ADD COLUMN growing    BIGINT  NOT NULL DEFAULT 0;    -- 1: tasks may be added, and it does not end
ALTER TABLE run ADD COLUMN metadata   TEXT    NOT NULL DEFAULT '{}'; -- a JSON object of its creator's
ALTER TABLE run ADD COLUMN request_id TEXT COLLATE "C" NOT NULL DEFAULT '';   -- its creator's: the same one again is the same run
CREATE UNIQUE INDEX run_request ON run (request_id) WHERE request_id <> '';

-- Of tasks, `gate` says who may take it when it is READY: 0 to 2 a claimer of its queue or an executor (0002), 3 a
-- runner that is called, 4 whoever claims from its run, 5 nobody: a check, whose results others write. Of gate 3, `key` is
-- the demand: what a runner must offer, as JSON with sorted keys.
ALTER TABLE task ADD COLUMN version BIGINT  NOT NULL DEFAULT 1; -- grows with each change of its state or content
CREATE INDEX task_push ON task (key, run, priority DESC, id) WHERE state = 'READY' AND gate = 3;
-- Leases of pushed stages that are to be cancelled.
CREATE INDEX task_stop ON task (token) WHERE cancel = 1 AND gate = 3 AND state IN ('LEASED', 'RUNNING');
CREATE INDEX task_pull ON task (run, priority DESC, id) WHERE state = 'READY' AND gate = 4;

-- What only checks and stages have.
CREATE TABLE plan_task (
    task           BIGINT  PRIMARY KEY,
    check_kind     TEXT    NOT NULL DEFAULT '', -- of a check: what it asks
    parent         BIGINT  NOT NULL DEFAULT 0,  -- the stage that added it while it ran
    accept_us      BIGINT  NOT NULL DEFAULT 0,  -- a runner must accept it within this time; 0: the default
    progress_us    BIGINT  NOT NULL DEFAULT 0,  -- its holder promised progress so often; 0: it did not
    refusals       BIGINT  NOT NULL DEFAULT 0,  -- runners that did not take it, in a row
    results        BIGINT  NOT NULL DEFAULT 0,  -- of a check: its rows in check_result …
    results_failed BIGINT  NOT NULL DEFAULT 0,  -- … and of these those with a failure
    final          BIGINT  NOT NULL DEFAULT 0,  -- 1: one of them is its last
    needs          TEXT    NOT NULL DEFAULT '', -- digest of its dependencies as they were written; '': none
    goals          TEXT    NOT NULL DEFAULT ''  -- of a stage: digest of its assignments, likewise
);

-- What a group is for: 'start' its task waits for it, 'plan' a check is edited until it is met, 'spawned' a stage
-- awaits what it added, 'final' a check is concluded when it is met.
ALTER TABLE dep_group ADD COLUMN role        TEXT    NOT NULL DEFAULT 'start';
ALTER TABLE dep_group ADD COLUMN cancel_rest BIGINT  NOT NULL DEFAULT 0;  -- 1: when it is met, what has not ended is cancelled
ALTER TABLE dep_group ADD COLUMN missing     BIGINT  NOT NULL DEFAULT 0;  -- edges to names that were not written before the run was sealed
ALTER TABLE dep_group ADD COLUMN satisfied   TEXT    NOT NULL DEFAULT ''; -- where fewer than all sufficed: the names that met it, JSON

-- Edges to tasks that nobody has written yet. Their groups count them in `total`; when the run is sealed they leave,
-- and are counted in `missing` too.
CREATE TABLE dep_wanted (
    run  BIGINT  NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    grp  BIGINT  NOT NULL,
    PRIMARY KEY (run, name, grp)
);
CREATE INDEX dep_wanted_group ON dep_wanted (grp);

-- Results of checks, in the order in which they came.
CREATE TABLE check_result (
    id      BIGINT  PRIMARY KEY,
    run     BIGINT  NOT NULL,
    task    BIGINT  NOT NULL,               -- the check
    owner   TEXT    NOT NULL,               -- 'STAGE:ATTEMPT', or who wrote it
    token   BIGINT  NOT NULL,               -- of that attempt; 0: none
    data    TEXT    NOT NULL,               -- JSON
    code    TEXT    NOT NULL DEFAULT '',    -- of its failure; '' and no message: none
    message TEXT    NOT NULL DEFAULT '',
    at      BIGINT  NOT NULL,
    final   BIGINT  NOT NULL                -- 1: it concluded the check
);
CREATE INDEX check_result_task ON check_result (task, id);

-- What an attempt's holder told while it ran, in order.
CREATE TABLE progress (
    token   BIGINT  NOT NULL,
    n       BIGINT  NOT NULL,               -- from 1
    at      BIGINT  NOT NULL,
    percent BIGINT  NOT NULL,               -- -1: not told
    message TEXT    NOT NULL,
    details TEXT    NOT NULL,               -- JSON, or ''
    PRIMARY KEY (token, n)
);

-- One decision of the dispatcher: whom it gave a task to, and why not to others. How it was answered is the attempt
-- of that token.
CREATE TABLE dispatch (
    token      BIGINT  PRIMARY KEY,
    task       BIGINT  NOT NULL,
    run        BIGINT  NOT NULL,
    worker     BIGINT  NOT NULL,            -- the chosen incarnation
    at         BIGINT  NOT NULL,
    candidates TEXT    NOT NULL             -- JSON: [{"runner", "load", "slots", "verdict"}, …], those left out {"more", "verdict"}
);
CREATE INDEX dispatch_task ON dispatch (task, token);

-- Runners are workers that are called.
ALTER TABLE worker ADD COLUMN type TEXT COLLATE "C" NOT NULL DEFAULT ''; -- '': no runner
ALTER TABLE worker ADD COLUMN address TEXT NOT NULL DEFAULT ''; -- 'host:port', 'https://host:port'
ALTER TABLE worker ADD COLUMN modes   TEXT NOT NULL DEFAULT ''; -- 'sync', 'async', 'sync,async'
ALTER TABLE worker ADD COLUMN version TEXT NOT NULL DEFAULT ''; -- of its program, as it says
ALTER TABLE worker ADD COLUMN granted BIGINT NOT NULL DEFAULT 0; -- the token of its newest grant
CREATE INDEX worker_runner ON worker (type, incarnation) WHERE type <> '' AND state NOT IN ('LOST', 'GONE');
