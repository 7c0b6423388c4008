-- The checkpoints of jobs: what a program has saved, so that the next attempt goes on from there.
-- Each object of the store that holds one has its row before it is made, and until after it is
-- removed. The state is 0 while it is made, 1 if it is kept, 2 if it is to be removed. Programs
-- that do not know the table start such jobs from the beginning.
CREATE TABLE checkpoints (
    job     TEXT   NOT NULL,
    number  BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    state   BIGINT NOT NULL,
    sha256  TEXT   NOT NULL,
    size    BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (job, number)
);
CREATE INDEX checkpoints_dropped ON checkpoints (state, job, number) WHERE state = 2;
