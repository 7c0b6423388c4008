-- A loop is a job that repeats: each success makes the next job of it. Its id is that of the first
-- job. Programs that do not know the columns run such a job once, and make no next one.
ALTER TABLE jobs ADD COLUMN loop TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN run BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_loop ON jobs (loop, run) WHERE loop <> '';
CREATE TABLE loops (
    id         TEXT   NOT NULL PRIMARY KEY,
    runs       BIGINT NOT NULL, -- number of the newest job
    newest     TEXT   NOT NULL, -- its id
    latest     TEXT   NOT NULL, -- id of the newest success
    latest_run BIGINT NOT NULL,
    ended      BIGINT NOT NULL, -- when a person ended the loop for good, or 0
    ended_by   TEXT   NOT NULL
);
