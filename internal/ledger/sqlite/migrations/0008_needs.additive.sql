-- A job whose document says so runs after a needed job has failed or was cancelled: any end
-- of the need is good. A program that does not know the column fails such a job.
ALTER TABLE needs ADD COLUMN any_end BIGINT NOT NULL DEFAULT 0;
