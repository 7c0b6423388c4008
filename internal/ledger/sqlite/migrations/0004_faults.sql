-- A part for each subject.

-- Identity: which ledger this is. The program puts the one row.
CREATE TABLE identity (
    one BIGINT NOT NULL PRIMARY KEY,
    id  TEXT   NOT NULL
);
-- The messages of queued jobs are on tubes that no node reads any more.
UPDATE jobs SET server = '', message = 0 WHERE state = 'queued' AND server <> '';

-- Order: which jobs have become due just now, and the most urgent of them. A job
-- without not_before never enters it.
CREATE INDEX jobs_due ON jobs (server, not_before DESC, priority) WHERE state = 'queued' AND not_before > 0;

-- Quarantine: jobs whose attempts were lost with their nodes.
-- quarantine is 1 for an attempt that runs, or ran, with nothing beside it on
-- its node; of jobs it is of the newest attempt. crashes counts all attempts
-- that were lost, alone_crashes those among them that ran in quarantine.
ALTER TABLE jobs ADD COLUMN quarantine BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN alone_crashes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN quarantine BIGINT NOT NULL DEFAULT 0;

-- Waiting for inputs: servers that cannot give them yet.
-- fetch_since is when the inputs of a job could not be had for the first time in
-- a row, fetch_tries how many attempts have ended so since; 0 where they could.
ALTER TABLE jobs ADD COLUMN fetch_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN fetch_tries BIGINT NOT NULL DEFAULT 0;

-- Programs that no node has announced yet.
-- A need may also be such a program, as 'program ' and its name. deadline is when
-- the job fails unless its need is put, or announced, before; 0 where it is there.
-- Jobs that wait for their programs are counted under no program in backlog.
ALTER TABLE needs ADD COLUMN deadline BIGINT NOT NULL DEFAULT 0;
UPDATE needs SET deadline = missing_since + 3600000000 WHERE missing_since > 0;
DROP INDEX needs_missing;
ALTER TABLE needs DROP COLUMN missing_since;
CREATE INDEX needs_deadline ON needs (deadline) WHERE deadline > 0;

-- The queue by since when jobs are due: its age, and what is scheduled for later.
UPDATE jobs SET due = CASE WHEN not_before > accepted THEN not_before ELSE accepted END WHERE state = 'queued' AND due = 0;
CREATE INDEX jobs_age ON jobs (program, due) WHERE state = 'queued';

-- Delivery: results that are put to URLs elsewhere.
-- jobs.target is the URL to which the final document is put; '' where a node
-- serves it, '?' where the document has yet to be asked.
ALTER TABLE jobs ADD COLUMN target TEXT NOT NULL DEFAULT '?';
-- hooks.kind is '' for a webhook and 'delivery' for a put, whose id is the job's.
ALTER TABLE hooks ADD COLUMN kind TEXT NOT NULL DEFAULT '';
DROP INDEX hooks_created;
CREATE INDEX hooks_created ON hooks (kind, created);
-- How deliveries have ended.
CREATE TABLE deliveries (
    job      TEXT   NOT NULL PRIMARY KEY,
    url      TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    given_up BIGINT NOT NULL,
    tries    BIGINT NOT NULL,
    message  TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;

-- Access: submitters and ended sessions.
-- jobs.submitter is the name of the token that submitted the job; '' where it
-- came by the inbox or no token was asked for.
ALTER TABLE jobs ADD COLUMN submitter TEXT NOT NULL DEFAULT '';
-- Sessions of browsers that have signed out before their end.
CREATE TABLE ended_sessions (
    session TEXT   NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX ended_sessions_expires ON ended_sessions (expires);
