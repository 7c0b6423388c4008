-- What running programs have written to their logs, where the store is a bucket. No program
-- relies on it: an attempt that has ended has its log in the store.
CREATE TABLE log_chunks (
    job      TEXT   NOT NULL,
    attempt  BIGINT NOT NULL,
    position BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    data     BYTEA  NOT NULL,
    PRIMARY KEY (job, attempt, position)
);

-- How many jobs are in each state, by program. PostgreSQL has another view.
/*sqlite: CREATE VIEW job_counts AS SELECT program, waiting, queued, running, succeeded, failed, cancelled FROM backlog; */

-- What only PostgreSQL needs. A transaction that reads for a long time, such as that of
-- pg_dump, keeps all versions of a row. A row that changes with each commit then gets slower
-- with each, so these tables get new rows in place of new versions. Those that were deleted
-- lie before the rows that are read, in the order of the key.
--
-- backlog_steps has changes of backlog: step grows with the transactions of all writers, see Writer.fold.
-- backlog_folded has the newest step that is in backlog. commits has the commits of each process that writes: the newest one
-- says what became of a commit without an answer, see Writer.findOut.
/*postgresql: CREATE TABLE backlog_steps (
    step      BIGINT NOT NULL DEFAULT currval('writes') / 64,
    program   TEXT   NOT NULL,
    waiting   BIGINT NOT NULL,
    queued    BIGINT NOT NULL,
    running   BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    PRIMARY KEY (step, program)
);
CREATE TABLE backlog_folded (one BIGINT NOT NULL PRIMARY KEY, step BIGINT NOT NULL);
INSERT INTO backlog_folded (one, step) VALUES (1, -1);
CREATE VIEW job_counts AS
    SELECT program, SUM(waiting)::BIGINT AS waiting, SUM(queued)::BIGINT AS queued, SUM(running)::BIGINT AS running,
        SUM(succeeded)::BIGINT AS succeeded, SUM(failed)::BIGINT AS failed, SUM(cancelled)::BIGINT AS cancelled
    FROM (SELECT program, waiting, queued, running, succeeded, failed, cancelled FROM backlog
        UNION ALL SELECT program, waiting, queued, running, succeeded, failed, cancelled FROM backlog_steps
        WHERE step > (SELECT step FROM backlog_folded WHERE one = 1)) AS counts
    GROUP BY program;
CREATE TABLE commits (writer TEXT NOT NULL, number BIGINT NOT NULL, PRIMARY KEY (writer, number)); */
