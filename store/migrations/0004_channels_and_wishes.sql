-- More channels than one: what customers wish, where else they are reached, what they agreed to,
-- what they have seen, and the staff who are told of their district's outages.
ALTER TABLE notices ADD COLUMN IF NOT EXISTS ended_by text;
ALTER TABLE notices ADD COLUMN IF NOT EXISTS fell_back_at timestamptz;
DROP INDEX IF EXISTS notices_queue;
