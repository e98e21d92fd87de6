-- Workers, queues, workflows, runs, tasks with their dependencies, attempts, events, counts.
-- Times are microseconds since 1970 UTC, durations microseconds, 0 where there is none.
--
-- Keys compare by bytes (COLLATE "C"): as on SQLite, and without the price of a language's rules.
-- Rows that are written often leave room on their page for their next version (fillfactor), which
-- then needs no entry in any index, and are vacuumed long before a fifth of the table is dead.

-- Numbers that only grow, for ids and tokens.
CREATE SEQUENCE ids;

-- One row per incarnation.
CREATE TABLE worker (
    incarnation BIGINT  PRIMARY KEY,
    name        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,           -- 'local': the executor inside a weft program
    host        TEXT    NOT NULL,
    boot        TEXT    NOT NULL,           -- the machine's boot id: a pid means nothing in another boot
    pid         BIGINT  NOT NULL,
    pid_start   BIGINT  NOT NULL,           -- the process's start time in clock ticks since boot
    site        TEXT    NOT NULL,           -- where its processes can be found and ended by a later program
    slots       BIGINT  NOT NULL,
    run         BIGINT  NOT NULL DEFAULT 0, -- the run that it carries; 0: whatever comes
    state       TEXT COLLATE "C" NOT NULL,
    reason      TEXT    NOT NULL DEFAULT '',
    ttl_us      BIGINT  NOT NULL,
    beat_at     BIGINT  NOT NULL,
    joined_at   BIGINT  NOT NULL,
    ended_at    BIGINT  NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX worker_live ON worker (incarnation) WHERE state NOT IN ('LOST', 'GONE');

CREATE TABLE queue (
    name       TEXT COLLATE "C" PRIMARY KEY,
    paused     BIGINT  NOT NULL DEFAULT 0,
    tasks_max  BIGINT  NOT NULL,            -- open tasks that it holds at most
    created_at BIGINT  NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);

-- A definition as its author wrote it; a version never changes.
CREATE TABLE workflow (
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT  NOT NULL,
    digest     TEXT    NOT NULL,
    kind       TEXT    NOT NULL,            -- 'single' (one task) or 'graph'
    source     TEXT    NOT NULL,
    format     TEXT    NOT NULL,            -- 'yaml' or 'json'
    path       TEXT    NOT NULL,
    tasks      BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE run (
    id           BIGINT  PRIMARY KEY,
    workflow     TEXT COLLATE "C" NOT NULL,
    version      BIGINT  NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    reason       TEXT    NOT NULL DEFAULT '',
    detail       TEXT    NOT NULL DEFAULT '',
    params       TEXT    NOT NULL,          -- a JSON object
    dir          TEXT    NOT NULL,          -- the folder that its tasks start in
    max_parallel BIGINT  NOT NULL DEFAULT 0,
    tasks        BIGINT  NOT NULL,
    open         BIGINT  NOT NULL,          -- tasks that are not final
    held         BIGINT  NOT NULL DEFAULT 0, -- tasks that are LEASED or RUNNING
    failed       BIGINT  NOT NULL DEFAULT 0, -- tasks that are FAILED
    created_at   BIGINT  NOT NULL,
    ended_at     BIGINT  NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX run_open ON run (id) WHERE state IN ('RUNNING', 'CANCELLING');

CREATE TABLE task (
    id          BIGINT  PRIMARY KEY,
    run         BIGINT  NOT NULL,           -- 0: a task of a queue
    queue       TEXT COLLATE "C" NOT NULL,           -- '': a task of a run
    name        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    reason      TEXT    NOT NULL DEFAULT '',
    detail      TEXT    NOT NULL DEFAULT '',
    priority    BIGINT  NOT NULL DEFAULT 0, -- the higher first, then the smaller id
    attempts    BIGINT  NOT NULL DEFAULT 0, -- started
    budget_from BIGINT  NOT NULL DEFAULT 0, -- attempts that were over when it was last given back
    retry       TEXT    NOT NULL DEFAULT '', -- core/retry's text; '': the default
    due_at      BIGINT  NOT NULL DEFAULT 0,
    cancel      BIGINT  NOT NULL DEFAULT 0, -- 1: its holder is asked to stop it
    groups_open BIGINT  NOT NULL DEFAULT 0, -- dependency groups that are not met
    token       BIGINT  NOT NULL DEFAULT 0, -- of the live lease, 0: none
    worker      BIGINT  NOT NULL DEFAULT 0, -- the holder's incarnation
    timeout_us  BIGINT  NOT NULL DEFAULT 0,
    ready_at    BIGINT  NOT NULL DEFAULT 0,
    leased_at   BIGINT  NOT NULL DEFAULT 0,
    started_at  BIGINT  NOT NULL DEFAULT 0,
    deadline_at BIGINT  NOT NULL DEFAULT 0,
    last_token  BIGINT  NOT NULL DEFAULT 0, -- of the newest ended attempt
    created_at  BIGINT  NOT NULL,
    ended_at    BIGINT  NOT NULL DEFAULT 0,
    payload     TEXT    NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX task_ready ON task (run, queue, priority DESC, id) WHERE state = 'READY';
CREATE INDEX task_due ON task (due_at) WHERE state = 'DELAYED';
CREATE INDEX task_held ON task (worker) WHERE state IN ('LEASED', 'RUNNING');
CREATE UNIQUE INDEX task_name ON task (run, name) WHERE run <> 0;

-- A dependency group of a task: counters under a trigger rule.
CREATE TABLE dep_group (
    id        BIGINT  PRIMARY KEY,
    run       BIGINT  NOT NULL,
    task      BIGINT  NOT NULL,             -- the one that waits
    rule      TEXT    NOT NULL,
    need      BIGINT  NOT NULL,
    total     BIGINT  NOT NULL,
    done      BIGINT  NOT NULL DEFAULT 0,
    succeeded BIGINT  NOT NULL DEFAULT 0,
    verdict   TEXT COLLATE "C" NOT NULL DEFAULT 'WAITING' -- then MET or IMPOSSIBLE, once
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX dep_group_task ON dep_group (task);
CREATE INDEX dep_group_run ON dep_group (run, task);

-- An edge: the group counts the end of this task.
CREATE TABLE dep_edge (
    task BIGINT  NOT NULL,
    grp  BIGINT  NOT NULL,
    PRIMARY KEY (task, grp)
);
CREATE INDEX dep_edge_group ON dep_edge (grp);

-- One row per ended attempt, found by the token that it was held under.
CREATE TABLE attempt (
    token         BIGINT  PRIMARY KEY,
    task          BIGINT  NOT NULL,
    run           BIGINT  NOT NULL,
    queue         TEXT COLLATE "C" NOT NULL,
    number        BIGINT  NOT NULL,         -- from 1; 0: the lease ended before it started
    worker        BIGINT  NOT NULL,
    outcome       TEXT    NOT NULL,
    reason        TEXT    NOT NULL DEFAULT '',
    message       TEXT    NOT NULL DEFAULT '',
    exit_code     BIGINT ,
    signal        BIGINT ,
    leased_at     BIGINT  NOT NULL,
    started_at    BIGINT  NOT NULL,
    ended_at      BIGINT  NOT NULL,
    queue_wait_us BIGINT  NOT NULL,
    run_us        BIGINT  NOT NULL DEFAULT 0,
    cpu_us        BIGINT  NOT NULL DEFAULT 0,
    max_rss_bytes BIGINT  NOT NULL DEFAULT 0,
    stderr_tail   TEXT    NOT NULL DEFAULT '',
    digest        TEXT    NOT NULL,         -- of the completion's content
    result        TEXT                      -- a JSON object
);
CREATE INDEX attempt_task ON attempt (task);

CREATE TABLE event (
    seq  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at   BIGINT  NOT NULL,
    run  BIGINT  NOT NULL,                  -- 0: of no run
    task BIGINT  NOT NULL,                  -- 0: of no task
    kind TEXT    NOT NULL,                  -- 'task_READY', 'run_SUCCEEDED', 'worker_LOST', …
    data TEXT    NOT NULL                   -- a JSON object
);
CREATE INDEX event_run ON event (run, seq);

-- How many tasks are in each state; equal to the sums at every moment.
CREATE TABLE tally (
    run   BIGINT  NOT NULL,
    queue TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    n     BIGINT  NOT NULL,
    PRIMARY KEY (run, queue, state)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 0);
