-- A part for each subject.

-- Rows of some KiB stand in tables with rowids. In a tree of keys, SQLite reads the whole
-- of each row that it passes on its way to a key.

-- Small results. Larger ones are objects of the store. A result never changes: it is
-- written by the transaction that ends its job.
CREATE TABLE results (
    job      TEXT   NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    document BYTEA  NOT NULL
);

-- Documents. Those of jobs from before this schema stay where they are, because there may
-- be many GiB of them.
ALTER TABLE documents RENAME TO old_documents;
CREATE TABLE documents (
    id       TEXT  NOT NULL PRIMARY KEY,
    document BYTEA NOT NULL
);
