-- A part for each subject.

-- Identity: the store that belongs to this ledger; '' until a node has recorded it.
ALTER TABLE identity ADD COLUMN store TEXT NOT NULL DEFAULT '';

-- Upgrades: schema is the version of the schema that an instance knows, 0 for a
-- program from before that was recorded.
ALTER TABLE nodes ADD COLUMN schema BIGINT NOT NULL DEFAULT 0;

-- Lease: of each instance, in microseconds; 0 for a program from before that was
-- recorded. It holds for that instance.
ALTER TABLE nodes ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;

-- Order.
-- jobs.start_after is the time that a person set; not_before is when the next attempt
-- may start, which a backoff moves.
ALTER TABLE jobs ADD COLUMN start_after BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET start_after = not_before WHERE attempt = 0 AND not_before > 0;

-- Retention.

-- Settings of the pool: base URLs, keys, limits.
