-- What programs have counted, by program, node and counter, in steps: grain is the length of a
-- step in seconds, at its begin. A node adds to its own rows only.
CREATE TABLE counted (
    program TEXT             NOT NULL,
    grain   BIGINT           NOT NULL,
    at      BIGINT           NOT NULL,
    node    TEXT             NOT NULL,
    name    TEXT             NOT NULL,
    n       DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (program, grain, at, node, name)
) /*sqlite: WITHOUT ROWID */;
CREATE INDEX counted_node ON counted (node, grain, at);
CREATE INDEX counted_at ON counted (grain, at);

-- The last counters of attempts that are not the newest, or have succeeded; those of the others
-- are in live.
CREATE TABLE attempt_counters (
    job      TEXT   NOT NULL,
    attempt  BIGINT NOT NULL,
    counters TEXT   NOT NULL,
    PRIMARY KEY (job, attempt)
) /*sqlite: WITHOUT ROWID */;

-- The parts of a larger work that attempts have worked on. number grows with each chunk that an
-- attempt begins; whole is of how many, or of what.
CREATE TABLE chunks (
    job     TEXT   NOT NULL,
    attempt BIGINT NOT NULL,
    id      TEXT   NOT NULL,
    number  BIGINT NOT NULL,
    whole   TEXT   NOT NULL,
    began   BIGINT NOT NULL,
    PRIMARY KEY (job, attempt, id)
) /*sqlite: WITHOUT ROWID */;
ALTER TABLE live ADD COLUMN chunk TEXT NOT NULL DEFAULT '';
