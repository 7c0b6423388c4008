-- jobs.due is since when the job's newest attempt could start: when it was
-- queued, or its not_before where that is later. 0 where nobody knows.
ALTER TABLE jobs ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
-- The URL that the document wants to be told of the job's end.
ALTER TABLE jobs ADD COLUMN webhook TEXT NOT NULL DEFAULT '';

-- Listings by node, with or without a state. A job that runs well enters it
-- once, when it ends; those that run are few.
DROP INDEX jobs_node;
CREATE INDEX jobs_node ON jobs (node, state, accepted, id) WHERE node <> '' AND state <> 'running';
-- Listings by the states that a good job never has. (A list of three in IN would
-- cost each change of a job more than the index itself.)
CREATE INDEX jobs_state ON jobs (state, accepted, id) WHERE state <> 'queued' AND state <> 'running' AND state <> 'succeeded';

-- How many jobs are in each state: those that have not ended by program, the
-- others together under ''. Every program that has jobs without a fault is there.
CREATE TABLE backlog (
    program   TEXT   NOT NULL PRIMARY KEY,
    waiting   BIGINT NOT NULL,
    queued    BIGINT NOT NULL,
    running   BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    cancelled BIGINT NOT NULL
) /*sqlite: WITHOUT ROWID */;
INSERT INTO backlog (program, waiting, queued, running, succeeded, failed, cancelled)
    SELECT program, SUM(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END), SUM(CASE WHEN state = 'queued' THEN 1 ELSE 0 END),
        SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END), 0, 0, 0
    FROM jobs WHERE state <> 'failed' OR attempt > 0 GROUP BY program;
INSERT INTO backlog (program, waiting, queued, running, succeeded, failed, cancelled)
    SELECT '', 0, 0, 0, succeeded, failed, cancelled FROM counts WHERE one = 1
    ON CONFLICT (program) DO UPDATE SET succeeded = excluded.succeeded, failed = excluded.failed, cancelled = excluded.cancelled;
DROP TABLE counts;

-- What ended in one minute, counted in the transaction that ended it, until
-- it is added to activity and durations. state is '' for an attempt that did
-- not end its job; node is '' where no attempt ended. bin is of the histogram
-- of durations, -1 for all but successes.
CREATE TABLE tallies (
    at      BIGINT NOT NULL,
    node    TEXT   NOT NULL,
    program TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    class   TEXT   NOT NULL,
    bin     BIGINT NOT NULL,
    n       BIGINT NOT NULL,
    run_us  BIGINT NOT NULL,
    cpu_us  BIGINT NOT NULL,
    wait_us BIGINT NOT NULL,
    PRIMARY KEY (at, node, program, state, class, bin)
) /*sqlite: WITHOUT ROWID */;

-- The same by node alone (axis 'n') and by program alone (axis 'p'), each in
-- steps of grain seconds.
CREATE TABLE activity (
    grain   BIGINT NOT NULL,
    axis    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    state   TEXT   NOT NULL,
    class   TEXT   NOT NULL,
    n       BIGINT NOT NULL,
    run_us  BIGINT NOT NULL,
    cpu_us  BIGINT NOT NULL,
    wait_us BIGINT NOT NULL,
    PRIMARY KEY (grain, axis, at, name, state, class)
) /*sqlite: WITHOUT ROWID */;

-- How long successes ran, by day.
CREATE TABLE durations (
    program TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    bin     BIGINT NOT NULL,
    n       BIGINT NOT NULL,
    run_us  BIGINT NOT NULL,
    PRIMARY KEY (program, at, bin)
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX durations_at ON durations (at);

-- The most jobs that were seen in a state during a step of grain seconds.
CREATE TABLE depths (
    grain   BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    queued  BIGINT NOT NULL,
    running BIGINT NOT NULL,
    PRIMARY KEY (grain, at)
) /*sqlite: WITHOUT ROWID */;

-- Who asked for what an event tells; '' where the machine did it by itself.
ALTER TABLE events ADD COLUMN asker TEXT NOT NULL DEFAULT '';
CREATE INDEX events_at ON events (at, id);
CREATE INDEX events_kind ON events (kind, at, id);
CREATE INDEX events_node ON events (node, at, id) WHERE node <> '';
CREATE INDEX events_human ON events (at, id) WHERE asker <> '';

-- What persons have set about nodes, by name. slots is -1 for the node's own setting.
CREATE TABLE controls (
    node    TEXT   NOT NULL PRIMARY KEY,
    slots   BIGINT NOT NULL,
    paused  BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    asker   TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    updated BIGINT NOT NULL
) /*sqlite: WITHOUT ROWID */;

-- What instances say of their machines; apart from nodes because it is large
-- and nodes is read all the time.
CREATE TABLE vitals (
    instance TEXT  NOT NULL PRIMARY KEY,
    vitals   BYTEA NOT NULL
) /*sqlite: WITHOUT ROWID */;

-- Ends of jobs that a URL has yet to be told of.
CREATE TABLE hooks (
    id       TEXT   NOT NULL PRIMARY KEY,
    job      TEXT   NOT NULL,
    program  TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    class    TEXT   NOT NULL,
    attempt  BIGINT NOT NULL,
    url      TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    tries    BIGINT NOT NULL,
    next     BIGINT NOT NULL,
    owner    TEXT   NOT NULL,
    message  TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX hooks_next ON hooks (next, id);
CREATE INDEX hooks_created ON hooks (created);

-- Answers to requests that carried a key, for those who ask again.
CREATE TABLE replays (
    key    TEXT   NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    digest BYTEA  NOT NULL,
    status BIGINT NOT NULL,
    body   BYTEA  NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX replays_at ON replays (at);
