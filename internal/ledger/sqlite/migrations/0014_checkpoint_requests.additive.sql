-- What people ask of running programs: a checkpoint. A row is removed when the program has answered
-- or its attempt has ended; one of another attempt than the newest means nothing.
CREATE TABLE checkpoint_requests (
    job     TEXT   NOT NULL PRIMARY KEY,
    attempt BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    asker   TEXT   NOT NULL
);
-- restored is the last attempt that has begun from the checkpoint, or 0. broken says why the last
-- attempt that tried could not use it.
ALTER TABLE checkpoints ADD COLUMN restored BIGINT NOT NULL DEFAULT 0;
ALTER TABLE checkpoints ADD COLUMN broken TEXT NOT NULL DEFAULT '';
