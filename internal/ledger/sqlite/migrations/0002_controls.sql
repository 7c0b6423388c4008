-- jobs.cancel_requested says what is asked of a running job: 0 nothing,
-- 1 cancel, 2 terminate, 3 reset.

-- Which data folder an instance works in: where two have the same name, it
-- tells a node that starts again from a stranger.
ALTER TABLE nodes ADD COLUMN home TEXT NOT NULL DEFAULT '';

-- What takes no new work. node is '' for the whole queue.
CREATE TABLE drains (
    node   TEXT   NOT NULL PRIMARY KEY,
    since  BIGINT NOT NULL,
    asker  TEXT   NOT NULL,
    reason TEXT   NOT NULL
) /*sqlite: WITHOUT ROWID */;
