-- Outages know who takes care of them, which crew is sent, and how far it is.
DROP VIEW IF EXISTS outages_now;
ALTER TABLE outages
    ADD COLUMN IF NOT EXISTS acknowledged_at timestamptz,
    ADD COLUMN IF NOT EXISTS acknowledged_by text,
    ADD COLUMN IF NOT EXISTS crew text,
    ADD COLUMN IF NOT EXISTS stage text NOT NULL DEFAULT 'none';
ALTER TABLE changes
    ADD COLUMN IF NOT EXISTS reasons json NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS by text,
    ADD COLUMN IF NOT EXISTS decision text;
