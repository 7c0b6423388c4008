-- A frame is a job of a batch. Programs that do not know the columns treat it as any other job.
ALTER TABLE jobs ADD COLUMN batch TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN frame BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_frames ON jobs (batch, frame) WHERE batch <> '';
CREATE INDEX jobs_frame_states ON jobs (batch, state, finished, started, frame) WHERE batch <> '';
