-- Times are microseconds since 1970 in UTC; 0 is "none".
-- A comment that begins with "sqlite:" is SQL for SQLite alone: tables that
-- are found by their key only are stored in the key's own tree there, which
-- saves a second tree for each.

CREATE TABLE jobs (
    id               TEXT   NOT NULL PRIMARY KEY,
    program          TEXT   NOT NULL,
    state            TEXT   NOT NULL,
    priority         BIGINT NOT NULL,
    created          BIGINT NOT NULL,
    accepted         BIGINT NOT NULL,
    not_before       BIGINT NOT NULL,
    expires          BIGINT NOT NULL,
    started          BIGINT NOT NULL,
    finished         BIGINT NOT NULL,
    updated          BIGINT NOT NULL,
    attempt          BIGINT NOT NULL,
    spent            BIGINT NOT NULL,
    crashes          BIGINT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    node             TEXT   NOT NULL,
    instance         TEXT   NOT NULL,
    program_sha256   TEXT   NOT NULL,
    outcome          TEXT   NOT NULL,
    exit_code        BIGINT NOT NULL,
    signal           TEXT   NOT NULL,
    cpu_us           BIGINT NOT NULL,
    max_rss          BIGINT NOT NULL,
    server           TEXT   NOT NULL,
    message          BIGINT NOT NULL,
    reason           TEXT   NOT NULL,
    error            TEXT   NOT NULL,
    labels           TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;

-- Each index that a job enters and leaves on its way costs about a tenth of
-- all that the job costs, so each serves several questions.

-- Every listing, newest first.
CREATE INDEX jobs_accepted ON jobs (accepted, id);
-- Listings by program and state. Jobs enter it when they end or wait: the
-- running ones are few, the queued ones are found by jobs_queue.
CREATE INDEX jobs_program ON jobs (program, state, accepted, id) WHERE state NOT IN ('queued', 'running');
-- Listings by node.
CREATE INDEX jobs_node ON jobs (node, accepted, id) WHERE node <> '';
-- The queue: which server has the message, and the order of starting.
CREATE INDEX jobs_queue ON jobs (server, program, priority, accepted, id, updated) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (instance) WHERE state = 'running';
CREATE INDEX jobs_expires ON jobs (expires) WHERE expires > 0 AND state IN ('queued', 'waiting');

-- What is large and never changes stands apart, so that a change of state does not write it again.
CREATE TABLE documents (
    id       TEXT  NOT NULL PRIMARY KEY,
    digest   BYTEA NOT NULL,
    document BYTEA NOT NULL
) /*sqlite: WITHOUT ROWID */;

CREATE TABLE labels (
    label    TEXT   NOT NULL,
    accepted BIGINT NOT NULL,
    job      TEXT   NOT NULL,
    PRIMARY KEY (label, accepted, job)
) /*sqlite: WITHOUT ROWID */;

-- The needs that are still open: rows go when they are met or do not matter
-- any more. missing_since is when a need was named that nobody had put yet.
CREATE TABLE needs (
    need          TEXT   NOT NULL,
    job           TEXT   NOT NULL,
    missing_since BIGINT NOT NULL,
    PRIMARY KEY (need, job)
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX needs_job ON needs (job);
CREATE INDEX needs_missing ON needs (missing_since) WHERE missing_since > 0;

-- Jobs that have ended and whose dependents were too many for one transaction.
CREATE TABLE unsettled (
    job TEXT NOT NULL PRIMARY KEY
) /*sqlite: WITHOUT ROWID */;

-- Attempts that were not their job's last; the newest is in the job's row
-- while it runs, and where the job ended with it (outcome is not empty).
CREATE TABLE attempts (
    job            TEXT   NOT NULL,
    number         BIGINT NOT NULL,
    node           TEXT   NOT NULL,
    instance       TEXT   NOT NULL,
    program_sha256 TEXT   NOT NULL,
    started        BIGINT NOT NULL,
    finished       BIGINT NOT NULL,
    outcome        TEXT   NOT NULL,
    message        TEXT   NOT NULL,
    exit_code      BIGINT NOT NULL,
    signal         TEXT   NOT NULL,
    cpu_us         BIGINT NOT NULL,
    max_rss        BIGINT NOT NULL,
    PRIMARY KEY (job, number)
) /*sqlite: WITHOUT ROWID */;

-- What running programs say. Partial results are large and apart, so that a
-- new progress does not write them again.
CREATE TABLE live (
    job      TEXT   NOT NULL PRIMARY KEY,
    attempt  BIGINT NOT NULL,
    progress DOUBLE PRECISION,
    message  TEXT   NOT NULL,
    counters TEXT   NOT NULL,
    updated  BIGINT NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE TABLE partials (
    job     TEXT   NOT NULL PRIMARY KEY,
    attempt BIGINT NOT NULL,
    partial BYTEA  NOT NULL
) /*sqlite: WITHOUT ROWID */;

-- What was done. That a job was accepted, and that it succeeded, is in its row
-- and not written again.
CREATE TABLE events (
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    job     TEXT   NOT NULL,
    node    TEXT   NOT NULL,
    message TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX events_job ON events (job, id);

CREATE TABLE nodes (
    instance TEXT   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    base_url TEXT   NOT NULL,
    version  TEXT   NOT NULL,
    slots    BIGINT NOT NULL,
    started  BIGINT NOT NULL,
    beat     BIGINT NOT NULL,
    left_at  BIGINT NOT NULL,
    programs TEXT   NOT NULL
);

CREATE TABLE programs (
    name        TEXT   NOT NULL PRIMARY KEY,
    announced   BIGINT NOT NULL,
    sha256      TEXT   NOT NULL,
    description TEXT   NOT NULL,
    input       TEXT   NOT NULL,
    result      TEXT   NOT NULL
);

-- One row: how many jobs are in each state.
CREATE TABLE counts (
    one       BIGINT NOT NULL PRIMARY KEY,
    waiting   BIGINT NOT NULL,
    queued    BIGINT NOT NULL,
    running   BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    cancelled BIGINT NOT NULL
);
INSERT INTO counts (one, waiting, queued, running, succeeded, failed, cancelled) VALUES (1, 0, 0, 0, 0, 0, 0);
