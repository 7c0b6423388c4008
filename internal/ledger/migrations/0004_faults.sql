-- A part for each subject.

-- Identity: which ledger this is.

-- Quarantine: jobs whose attempts were lost with their nodes.
-- quarantine is 1 for an attempt that runs, or ran, with nothing beside it on
-- its node; of jobs it is of the newest attempt. crashes counts all attempts
-- that were lost, alone_crashes those among them that ran in quarantine.
ALTER TABLE jobs ADD COLUMN quarantine BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN alone_crashes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN quarantine BIGINT NOT NULL DEFAULT 0;

-- Waiting for inputs: servers that cannot give them yet.

-- Programs that no node has announced yet.

-- Delivery: results that are put to URLs elsewhere.

-- Access: submitters and ended sessions.
