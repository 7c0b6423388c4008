-- The files of packages. Each object of the store that holds one has its row before it is made,
-- and until after it is removed. The state is 0 while it is made, 1 if it is kept, 2 if it is to be
-- removed; at is when it was last sent. A use has its row before its job. Programs that do not know
-- the tables cannot run jobs with such files.
CREATE TABLE package_files (
    sha256 TEXT   NOT NULL,
    number BIGINT NOT NULL,
    state  BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (sha256, number)
);
CREATE INDEX package_files_dropped ON package_files (state, sha256, number) WHERE state = 2;
CREATE TABLE package_uses (
    sha256 TEXT   NOT NULL,
    job    TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (sha256, job)
);
