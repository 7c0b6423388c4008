-- A part for each subject.

-- Identity: which ledger this is.

-- Quarantine: jobs whose attempts were lost with their nodes.

-- Waiting for inputs: servers that cannot give them yet.

-- Programs that no node has announced yet.

-- Delivery: results that are put to URLs elsewhere.

-- Access: submitters and ended sessions.
