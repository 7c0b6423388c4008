-- A part for each subject.

-- Identity: the store that belongs to this ledger; '' until a node has recorded it.
ALTER TABLE identity ADD COLUMN store TEXT NOT NULL DEFAULT '';

-- Upgrades: schema is the version of the schema that an instance knows, 0 for a
-- program from before that was recorded.
ALTER TABLE nodes ADD COLUMN schema BIGINT NOT NULL DEFAULT 0;
-- The upgrade that somebody wants: nodes that know less than version leave. renewed
-- changes every second; a row where it does not change is void.
CREATE TABLE upgrade (
    one     BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    asker   TEXT   NOT NULL,
    renewed BIGINT NOT NULL
);
-- A program from before this schema that stood still during the upgrade, which has
-- recorded its end, and goes on after it: it can neither register again nor claim, or it
-- would lose jobs again and again.
/*sqlite: CREATE TRIGGER nodes_new BEFORE INSERT ON nodes WHEN NEW.schema = 0 AND NEW.left_at = 0 BEGIN SELECT RAISE(ABORT, 'this program is too old for its ledger, which was upgraded: stop this node and start the new version'); END; */
/*sqlite: CREATE TRIGGER jobs_claim BEFORE UPDATE OF instance ON jobs WHEN NEW.state = 'running' AND EXISTS (SELECT 1 FROM nodes WHERE nodes.instance = NEW.instance AND nodes.schema = 0) BEGIN SELECT RAISE(ABORT, 'this program is too old for its ledger, which was upgraded: stop this node and start the new version'); END; */

-- Lease: of each instance, in microseconds; 0 for a program from before that was
-- recorded. It holds for that instance.
ALTER TABLE nodes ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;

-- Order.
-- jobs.start_after is the time that a person set; not_before is when the next attempt
-- may start, which a backoff moves.
ALTER TABLE jobs ADD COLUMN start_after BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET start_after = not_before WHERE attempt = 0 AND not_before > 0;
-- The needs that were not met when their job ended before it started. They go when the
-- job is queued again. Of jobs that ended earlier, the one need is known that their
-- error names: 'job ' and its id.
CREATE TABLE unmet (
    need TEXT NOT NULL,
    job  TEXT NOT NULL,
    PRIMARY KEY (need, job)
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX unmet_job ON unmet (job);
INSERT INTO unmet (need, job) SELECT SUBSTR(error, 33, 36), id FROM jobs
    WHERE state = 'failed' AND attempt = 0 AND error LIKE '{"class":"needs","message":"job ____________________________________, which it needs, %';
-- Jobs that were retried with their dependents, and whose dependents are still to be
-- looked at: those after an id. at is when a person asked for that.
CREATE TABLE reviving (
    job   TEXT   NOT NULL PRIMARY KEY,
    at    BIGINT NOT NULL,
    after TEXT   NOT NULL,
    asker TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX reviving_at ON reviving (at, job);
-- Since when a job waits for a need that nobody has put; 0 where it is there. A job that
-- waits for ever has a deadline that never comes.
ALTER TABLE needs ADD COLUMN missing_since BIGINT NOT NULL DEFAULT 0;
UPDATE needs SET missing_since = deadline - 3600000000 WHERE deadline > 0 AND need NOT LIKE 'program %';
CREATE INDEX needs_missing ON needs (missing_since) WHERE missing_since > 0;
-- Attempts that the restarts of nodes interrupted since the job was queued by a person,
-- and how long the longest of them ran, in microseconds.
ALTER TABLE jobs ADD COLUMN interruptions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN longest_interrupted BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_interrupted ON jobs (interruptions) WHERE interruptions > 2;

-- Fair shares: how many jobs a program starts in its turn; 0 where a node from before
-- that was recorded has announced it: 1.
ALTER TABLE programs ADD COLUMN weight BIGINT NOT NULL DEFAULT 0;

-- Retention.
-- jobs.keep is what the document says about how long its job is kept, as jobs.Keep
-- writes it; '' where it says nothing. look_at is when retention looks at such a job
-- next; 0 for never. programs.keep is what program.json says.
ALTER TABLE jobs ADD COLUMN keep TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN look_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_look ON jobs (look_at, id) WHERE look_at > 0;
ALTER TABLE programs ADD COLUMN keep TEXT NOT NULL DEFAULT '';
-- Jobs that were deleted, for two years. number grows with each, whatever the clock does.
CREATE TABLE deleted (
    id      TEXT   NOT NULL PRIMARY KEY,
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    program TEXT   NOT NULL,
    state   TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX deleted_number ON deleted (number);
-- Deleted jobs whose objects are still to be removed from the store. attempts is the
-- number of the newest attempt.
CREATE TABLE removals (
    job      TEXT   NOT NULL PRIMARY KEY,
    attempts BIGINT NOT NULL
) /*sqlite: WITHOUT ROWID */;
-- Which instance deletes for the pool, and until when.
CREATE TABLE retention (
    one   BIGINT NOT NULL PRIMARY KEY,
    owner TEXT   NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX hooks_job ON hooks (job);

-- Settings of the pool: base URLs, keys, limits.
-- The base URLs that nodes have had, in their canonical form, and when one had them last.
CREATE TABLE base_urls (
    url  TEXT   NOT NULL PRIMARY KEY,
    seen BIGINT NOT NULL
) /*sqlite: WITHOUT ROWID */;
-- Secrets of the pool, by name: 'webhook-key' signs webhooks.
CREATE TABLE secrets (
    name   TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL
) /*sqlite: WITHOUT ROWID */;
-- Those settings of an instance that decide what becomes of a job, as a JSON object of
-- texts; '' for a program from before that was recorded. Keys are there by their
-- fingerprints.
ALTER TABLE nodes ADD COLUMN settings TEXT NOT NULL DEFAULT '';
