-- Lastgasp: everything that is remembered.  PostgreSQL 15 or newer; with TimescaleDB (Apache or
-- Community licence) readings and device events are hypertables, without it native partitions.
--
-- Idempotent: running it again changes nothing.  A change to an existing table is a numbered file
-- in store/migrations/, and this file is then the state after it.  Every time is timestamptz.
-- Telephone numbers, names and the words of calls are sealed (AES-GCM) before they come here.

CREATE TABLE IF NOT EXISTS schema_version (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    digest     text NOT NULL,             -- of schema.sql as it was when last applied
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_version IS 'Which migrations this database has had.';

-- TimescaleDB: used where it is there.  Creating it is asked only of a role that may, on a server
-- that has it preloaded (elsewhere the attempt would end the connection, not just the statement).
DO $$
BEGIN
    IF current_setting('shared_preload_libraries') LIKE '%timescaledb%' THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
    END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    NULL;  -- an administrator creates it, or there is none: plain PostgreSQL serves as well
END $$;

CREATE OR REPLACE FUNCTION has_timescale() RETURNS boolean LANGUAGE sql STABLE AS
    $$ SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') $$;
COMMENT ON FUNCTION has_timescale IS 'Are readings and device events hypertables here?';

----------------------------------------------------------------------------------------------------
-- The network
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS devices (
    device_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class     text NOT NULL CHECK (class IN ('device', 'concentrator')),
    device_id text NOT NULL,
    UNIQUE (class, device_id)
);
COMMENT ON TABLE devices IS
    'A number for each branch, transformer, meter and concentrator ever known; readings carry it.';

CREATE TABLE IF NOT EXISTS network_graphs (
    version   text PRIMARY KEY,
    graph     bytea NOT NULL,   -- MessagePack of grid.graph.Graph without names and phones, deflated
    contacts  bytea NOT NULL,   -- names and phones, sealed
    devices   integer NOT NULL,
    customers integer NOT NULL
);
COMMENT ON TABLE network_graphs IS 'Each network ever saved, whole, by its digest.';

CREATE TABLE IF NOT EXISTS network_versions (
    network_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version    text NOT NULL REFERENCES network_graphs,
    valid_from timestamptz NOT NULL,
    source     text NOT NULL,
    saved_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS network_versions_valid ON network_versions (valid_from, network_no);
COMMENT ON TABLE network_versions IS 'Which network held from when; the last valid_from wins.';

CREATE TABLE IF NOT EXISTS feeder_groups (
    version    text NOT NULL REFERENCES network_graphs,
    group_no   integer NOT NULL,
    slug       text NOT NULL,
    name       text NOT NULL,
    device_nos bytea NOT NULL,  -- int32, little-endian: devices.device_no by node, deflated
    dcu_nos    bytea NOT NULL,  -- the same by index of concentrator
    kinds      bytea NOT NULL,  -- one byte a node: grid.network.NodeKind, deflated
    PRIMARY KEY (version, group_no)
);
COMMENT ON TABLE feeder_groups IS 'How the rows of a recorded frame name their devices.';

CREATE TABLE IF NOT EXISTS network_devices (
    device_id   text PRIMARY KEY,
    device_no   integer NOT NULL REFERENCES devices,
    kind        text NOT NULL,
    group_slug  text NOT NULL,
    parent_id   text,
    feeder_id   text,
    district    text NOT NULL,
    phases      text NOT NULL,
    telemetered boolean NOT NULL,
    x           double precision,
    y           double precision,
    customers   integer NOT NULL    -- behind it
);
CREATE INDEX IF NOT EXISTS network_devices_parent ON network_devices (parent_id);
COMMENT ON TABLE network_devices IS 'The newest network, flat, for people who use psql.';

CREATE TABLE IF NOT EXISTS customers (
    customer_id  text PRIMARY KEY,
    meter_id     text NOT NULL,
    language     text NOT NULL,
    priority     text NOT NULL,
    name_sealed  bytea,
    phone_sealed bytea,
    phone_index  bytea,             -- keyed hash of the normalised number
    address_sealed bytea            -- as their texts say it
);
CREATE INDEX IF NOT EXISTS customers_phone ON customers (phone_index) WHERE phone_index IS NOT NULL;
CREATE INDEX IF NOT EXISTS customers_meter ON customers (meter_id);
COMMENT ON TABLE customers IS 'The customers of the newest network.';

----------------------------------------------------------------------------------------------------
-- What devices said
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS reading_kinds (kind smallint PRIMARY KEY, word text NOT NULL UNIQUE);
INSERT INTO reading_kinds VALUES
    (0, 'last_gasp'), (1, 'power_up'), (2, 'heartbeat'), (3, 'voltage'), (4, 'ping_reply'),
    (5, 'phase_loss'), (6, 'phase_ok'), (7, 'tamper'), (8, 'trip'), (9, 'open'), (10, 'close'),
    (11, 'lockout'), (12, 'no_answer'), (13, 'call_no_power'), (14, 'call_partial'),
    (15, 'call_restored')
ON CONFLICT DO NOTHING;
COMMENT ON TABLE reading_kinds IS 'Words of grid.reading.Kind.';

-- Both are cut by day of receipt: rows come in that order, so only the newest piece is written.
DO $$
DECLARE
    by_day text := CASE WHEN has_timescale() THEN '' ELSE 'PARTITION BY RANGE (received_at)' END;
    fields text := '
        received_at timestamptz NOT NULL,  -- our clock
        happened_at timestamptz NOT NULL,  -- the device''s clock, repaired where quality says so
        device_no   integer NOT NULL,
        kind        smallint NOT NULL,
        quality     smallint NOT NULL,     -- bits of grid.reading.Quality; 0 is good
        phases      smallint,              -- bits A 1, B 2, C 4
        energised   boolean,               -- of a breaker: closed
        commanded   boolean,
        via_no      integer,               -- concentrator it came through
        boot        bigint,                -- digest of the sender''s boot id
        seq         bigint,
        off_at      timestamptz';
BEGIN
    IF to_regclass('readings') IS NULL THEN
        EXECUTE format('CREATE TABLE readings (%s,
            volts_a real, volts_b real, volts_c real,
            amps_a real, amps_b real, amps_c real, power_kw real) %s', fields, by_day);
        CREATE INDEX readings_device ON readings (device_no, happened_at);
    END IF;
    IF to_regclass('device_events') IS NULL THEN
        EXECUTE format('CREATE TABLE device_events (%s) %s', fields, by_day);
        CREATE INDEX device_events_device ON device_events (device_no, happened_at);
        CREATE INDEX device_events_happened ON device_events (happened_at);
    END IF;
    IF has_timescale() THEN
        PERFORM create_hypertable('readings', 'received_at', create_default_indexes => false,
            chunk_time_interval => interval '1 day', if_not_exists => true);
        PERFORM create_hypertable('device_events', 'received_at', create_default_indexes => false,
            chunk_time_interval => interval '1 day', if_not_exists => true);
    END IF;
END $$;
COMMENT ON TABLE readings IS 'Every reading of every device; see reading_log for names and words.';
COMMENT ON TABLE device_events IS
    'Those of the readings that are events (power, phase, position, tamper, calls); kept longer.';

-- Compression needs TimescaleDB's Community licence; under the Apache licence there is none.
DO $$
BEGIN
    IF has_timescale() AND current_setting('timescaledb.license', true) = 'timescale' THEN
        ALTER TABLE readings SET (timescaledb.compress,
            timescaledb.compress_segmentby = 'device_no',
            timescaledb.compress_orderby = 'happened_at');
        PERFORM add_compression_policy('readings', interval '7 days', if_not_exists => true);
    END IF;
END $$;

-- Attaching a table made beside it locks the parent against nobody who reads or writes; CREATE TABLE
-- ... PARTITION OF would wait for every reader of readings (a dump takes hours), and ingest for it.
CREATE OR REPLACE FUNCTION ensure_day(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    piece  text;
BEGIN
    IF has_timescale() THEN
        RETURN;  -- chunks come by themselves
    END IF;
    PERFORM pg_advisory_xact_lock(1818325365);  -- two commits may see midnight together
    FOREACH parent IN ARRAY ARRAY['readings', 'device_events'] LOOP
        piece := parent || to_char(day, '"_"YYYYMMDD');
        IF to_regclass(quote_ident(piece)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', piece, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, piece,
                day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION ensure_day IS 'Make room for the readings received on a day (UTC).';

-- A drop needs the parent alone for a moment.  Everybody would queue behind it while it waits for a
-- long reader, so it waits a second only; what is left goes the next time.
CREATE OR REPLACE FUNCTION drop_days(parent text, before timestamptz) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    piece   text;
    dropped integer := 0;
BEGIN
    IF has_timescale() THEN
        SELECT count(*) INTO dropped FROM drop_chunks(parent::regclass, older_than => before);
        RETURN dropped;
    END IF;
    FOR piece IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass AND c.relname ~ '_[0-9]{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= (before AT TIME ZONE 'UTC')::date
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', piece);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END $$;
COMMENT ON FUNCTION drop_days IS 'Forget whole days of readings or device events; how many went.';

----------------------------------------------------------------------------------------------------
-- The recorded stream of each feeder group
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS progress (
    group_slug text PRIMARY KEY,
    position   bigint NOT NULL,          -- last frame committed
    until_at   timestamptz NOT NULL,     -- stream time after it
    network    text NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE progress IS 'How far the engine of each feeder group has come.';

CREATE TABLE IF NOT EXISTS recorded_frames (
    group_slug text NOT NULL,
    position   bigint NOT NULL,
    until_at   timestamptz NOT NULL,
    readings   integer NOT NULL,
    digest     bigint NOT NULL,          -- CRC-32 of body
    body       bytea NOT NULL,           -- grid.frame.to_bytes
    PRIMARY KEY (group_slug, position)
);
ALTER TABLE recorded_frames ALTER body SET STORAGE EXTERNAL;  -- deflated already
CREATE INDEX IF NOT EXISTS recorded_frames_until ON recorded_frames (group_slug, until_at);
COMMENT ON TABLE recorded_frames IS
    'Everything that changed an engine, in order; replaying it gives the same changes.';

CREATE TABLE IF NOT EXISTS snapshots (
    group_slug text NOT NULL,
    position   bigint NOT NULL,
    until_at   timestamptz NOT NULL,
    body       bytea NOT NULL,
    PRIMARY KEY (group_slug, position)
);
ALTER TABLE snapshots ALTER body SET STORAGE EXTERNAL;
COMMENT ON TABLE snapshots IS 'An engine after a frame, now and then; older ones are thinned out.';

CREATE TABLE IF NOT EXISTS bus_partitions (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint,                  -- the first record that is not committed; null: none was
    marks       bytea NOT NULL DEFAULT '',  -- who of the senders was there until when
    generation  bigint NOT NULL,         -- counts the takeovers; an earlier one may not commit
    owner       text NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE bus_partitions IS 'A cluster''s place in Kafka: the offsets that count are these.';

CREATE TABLE IF NOT EXISTS sources (
    source     text NOT NULL,            -- meter, terminal, breaker, concentrator, call; mqtt, modbus
    group_slug text NOT NULL,
    heard_at   timestamptz,              -- our clock
    readings   bigint NOT NULL DEFAULT 0,  -- heard, repeats included; a concentrator's are its meters' too
    deaf_since timestamptz,              -- not null while its backlog is awaited
    PRIMARY KEY (source, group_slug)
) WITH (fillfactor = 50);
COMMENT ON TABLE sources IS 'When we last heard each kind of source in each feeder group.';

----------------------------------------------------------------------------------------------------
-- Outages
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS outages (
    id                 text PRIMARY KEY,
    version            integer NOT NULL,
    group_slug         text NOT NULL,
    state              text NOT NULL,
    kind               text NOT NULL,
    cause              text,
    device_id          text NOT NULL,
    device_kind        text NOT NULL,
    feeder_id          text,
    districts          text[] NOT NULL,
    phases             text NOT NULL,
    probability        double precision NOT NULL,
    started_at         timestamptz NOT NULL,
    detected_at        timestamptz NOT NULL,
    confirmed_at       timestamptz,
    restored_at        timestamptz,
    customers_affected integer NOT NULL,
    customers_out      integer NOT NULL,
    etr_at             timestamptz,
    etr_source         text,
    etr_confidence     double precision,
    evidence           text[] NOT NULL,
    parent_id          text,
    changed_at         timestamptz NOT NULL,
    ended_at           timestamptz,      -- when it was closed, rejected or found momentary
    acknowledged_at    timestamptz,
    acknowledged_by    text,
    crew               text,
    stage              text NOT NULL DEFAULT 'none'  -- grid.work.Stage
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS outages_running ON outages (detected_at) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS outages_crew ON outages (crew) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS outages_time ON outages (detected_at, ended_at);
COMMENT ON TABLE outages IS 'Each outage as of its last version.';

CREATE TABLE IF NOT EXISTS outage_steps (
    outage_id text NOT NULL,
    step_no   integer NOT NULL,
    off_at    timestamptz NOT NULL,
    on_at     timestamptz,
    inferred  boolean NOT NULL,
    customers text[] NOT NULL,
    PRIMARY KEY (outage_id, step_no)
);
COMMENT ON TABLE outage_steps IS 'Customers with the same off and on time, as of the last version.';

CREATE TABLE IF NOT EXISTS changes (
    outage_id    text NOT NULL,
    version      integer NOT NULL,
    group_slug   text NOT NULL,
    at           timestamptz NOT NULL,   -- stream time
    reason       text NOT NULL,
    customers    text[] NOT NULL,        -- whose state it changes
    outage       json NOT NULL,          -- grid.public.PublicOutage as of this version
    position     bigint NOT NULL,        -- the frame that brought it
    committed_at timestamptz NOT NULL DEFAULT now(),
    reasons      json NOT NULL DEFAULT '[]',  -- grid.reasons.Why: the reason with codes
    by           text,                   -- who decided it; null: the engine
    decision     text,                   -- id of that decision
    PRIMARY KEY (outage_id, version)
);
CREATE INDEX IF NOT EXISTS changes_at ON changes (at);
COMMENT ON TABLE changes IS 'The change log: append-only.';

CREATE TABLE IF NOT EXISTS findings (
    id         text PRIMARY KEY,
    group_slug text NOT NULL,
    at         timestamptz NOT NULL,
    kind       text NOT NULL,
    device_id  text NOT NULL,
    district   text NOT NULL,
    since_at   timestamptz NOT NULL,
    until_at   timestamptz,
    reason     text NOT NULL
);
CREATE INDEX IF NOT EXISTS findings_open ON findings (at) WHERE until_at IS NULL;
COMMENT ON TABLE findings IS 'What was noticed and is no outage; each as last said.';

CREATE TABLE IF NOT EXISTS customer_power (
    customer_id text PRIMARY KEY,
    outage_id   text,                    -- the outage that last concerned them; null: none does
    off_at      timestamptz,
    on_at       timestamptz,
    inferred    boolean NOT NULL,
    changed_at  timestamptz NOT NULL,
    feed_top    bigint NOT NULL          -- the last offset given on their channel
) WITH (fillfactor = 50);  -- no other index: its updates stay within a page
COMMENT ON TABLE customer_power IS 'Each customer an outage ever concerned: their last step.';

----------------------------------------------------------------------------------------------------
-- The feed log
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS feed_epoch (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    epoch    text NOT NULL
);
INSERT INTO feed_epoch (epoch) VALUES (replace(gen_random_uuid()::text, '-', ''))
    ON CONFLICT DO NOTHING;
COMMENT ON TABLE feed_epoch IS
    'Offsets are comparable within an epoch.  After a restore from a backup: SELECT new_feed_epoch().';

CREATE OR REPLACE FUNCTION new_feed_epoch() RETURNS text LANGUAGE sql AS
    $$ UPDATE feed_epoch SET epoch = replace(gen_random_uuid()::text, '-', '') RETURNING epoch $$;

CREATE TABLE IF NOT EXISTS feed_channels (
    channel text PRIMARY KEY,
    top     bigint NOT NULL              -- the last offset given
) WITH (fillfactor = 50);
COMMENT ON TABLE feed_channels IS 'Dispatch channels; the tops of customers are in customer_power.';

CREATE TABLE IF NOT EXISTS feed_log (
    channel  text NOT NULL,
    "offset" bigint NOT NULL,            -- 1, 2, 3 ... without gaps within a channel
    at       timestamptz NOT NULL,
    type     text NOT NULL,              -- change, finding, status
    body     json NOT NULL,
    PRIMARY KEY (channel, "offset")
);
CREATE INDEX IF NOT EXISTS feed_log_at ON feed_log USING brin (at) WITH (pages_per_range = 16);
COMMENT ON TABLE feed_log IS 'What the feeds tell, by channel: dispatch, dispatch:DISTRICT, customer:ID.';

----------------------------------------------------------------------------------------------------
-- Notices: what customers are told on a channel, and why, or why not
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS notice_decisions (
    decision_no bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,    -- stream time
    outage_id   text NOT NULL,           -- or the plan's
    version     integer NOT NULL,        -- of the outage; 0 of a plan
    phase       text NOT NULL,           -- grid.notice.Phase
    send        boolean NOT NULL,
    reason      text NOT NULL,           -- grid.notice.Reason
    facts       json NOT NULL,           -- grid.notice.Facts
    customers   text[] NOT NULL          -- for whom it was decided alike
);
CREATE INDEX IF NOT EXISTS notice_decisions_outage ON notice_decisions (outage_id, decision_no);
CREATE INDEX IF NOT EXISTS notice_decisions_at ON notice_decisions (at);
COMMENT ON TABLE notice_decisions IS
    'Why customers were told of a phase of an outage, or why not; append-only.';

CREATE TABLE IF NOT EXISTS notices (
    notice_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outage_id   text NOT NULL,
    customer_id text NOT NULL,
    phase       text NOT NULL,
    edition     integer NOT NULL,        -- 1, and more of a phase that comes again (estimates)
    channel     text NOT NULL,
    decision_no bigint NOT NULL,         -- whose facts it tells
    -- queued -> sending -> sent -> delivered | undelivered; sending -> unknown: nobody knows whether
    -- the gateway has it; held: superseded before it was sent; refused: it cannot be sent at all
    state       text NOT NULL CHECK (state IN ('queued', 'held', 'sending', 'sent', 'delivered',
                                               'undelivered', 'unknown', 'refused', 'expired')),
    reason      text NOT NULL,           -- why it is in that state
    lane        smallint NOT NULL,       -- grid.notice.Lane
    due_at      timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,    -- a late text is worse than none
    attempts    integer NOT NULL DEFAULT 0,
    claimed_at  timestamptz,             -- committed before the gateway is spoken to
    sent_at     timestamptz,
    ended_at    timestamptz,             -- delivered or not
    parts       smallint,                -- segments
    bare        boolean,                 -- a value was missing and the short form was sent
    body        text,                    -- as it was sent
    next_at     timestamptz,             -- the next word was promised by then
    ended_by    text,                    -- who closed it, of the desk's
    fell_back_at timestamptz,            -- it did not arrive: the next channel was looked for
    UNIQUE (outage_id, customer_id, phase, edition, channel)
) WITH (fillfactor = 60);
CREATE INDEX IF NOT EXISTS notices_customer ON notices (customer_id, notice_no);
CREATE INDEX IF NOT EXISTS notices_queue ON notices (channel, lane, due_at, notice_no)
    WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS notices_unreached ON notices (claimed_at)
    WHERE state IN ('sent', 'unknown', 'undelivered', 'refused') AND fell_back_at IS NULL;
CREATE INDEX IF NOT EXISTS notices_open ON notices (claimed_at)
    WHERE state IN ('sending', 'sent', 'unknown');
CREATE INDEX IF NOT EXISTS notices_promised ON notices (next_at)
    WHERE next_at IS NOT NULL AND state IN ('sent', 'delivered');
COMMENT ON TABLE notices IS
    'The outbox and its past: one row for each customer, outage, phase, edition and channel.';

CREATE TABLE IF NOT EXISTS notice_parts (
    message_id text NOT NULL,            -- the gateway''s
    notice_no  bigint NOT NULL,
    part       smallint NOT NULL,
    stat       text,                     -- of its receipt: DELIVRD, UNDELIV, ...
    stat_at    timestamptz,
    PRIMARY KEY (message_id, notice_no)
);
CREATE INDEX IF NOT EXISTS notice_parts_notice ON notice_parts (notice_no);
COMMENT ON TABLE notice_parts IS 'What the gateway calls each segment, and what became of it.';

CREATE TABLE IF NOT EXISTS notice_receipts (
    receipt_no  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    message_id  text NOT NULL,
    stat        text NOT NULL
);
CREATE INDEX IF NOT EXISTS notice_receipts_message ON notice_receipts (message_id);
COMMENT ON TABLE notice_receipts IS
    'Receipts for what we do not know yet: they came before the gateway''s answer was kept.';

CREATE TABLE IF NOT EXISTS notice_seen (
    customer_id text PRIMARY KEY,
    outage_id   text NOT NULL,
    phase       text NOT NULL,
    etr         json,                    -- grid.notice.Window
    at          timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE notice_seen IS 'What was decided for each customer last, so that it is not again.';

CREATE TABLE IF NOT EXISTS customer_wishes (
    customer_id  text PRIMARY KEY,
    language     text,                   -- null, here and below: as the network or the site has it
    channels     text[],                 -- on which they want to be told, the first first
    phases       text[],                 -- of what
    quiet_from   time,                   -- with quiet_to; the same: no quiet hours
    quiet_to     time,
    time_zone    text,                   -- of their quiet hours
    opted_out_at timestamptz,            -- they want to be told on no channel, since
    changed_at   timestamptz NOT NULL,
    changed_by   text NOT NULL
);
COMMENT ON TABLE customer_wishes IS 'How customers want to be told; who has no row wants the usual.';

CREATE TABLE IF NOT EXISTS customer_contacts (
    customer_id    text NOT NULL,
    channel        text NOT NULL,
    address_sealed bytea NOT NULL,
    PRIMARY KEY (customer_id, channel)
);
COMMENT ON TABLE customer_contacts IS 'Where customers are reached beside their telephone number.';

CREATE TABLE IF NOT EXISTS consents (
    consent_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id  text NOT NULL,
    at           timestamptz NOT NULL,
    wanted       boolean NOT NULL,       -- true: wants to be told (again)
    source       text NOT NULL,          -- reply, api, command
    by           text NOT NULL,          -- the customer, or who entered it
    words_sealed bytea                   -- the reply as it came
);
CREATE INDEX IF NOT EXISTS consents_customer ON consents (customer_id, consent_no);
COMMENT ON TABLE consents IS 'The proof of each opt-out and opt-in: when, how, in which words; append-only.';

CREATE TABLE IF NOT EXISTS customer_seen (
    customer_id text PRIMARY KEY,
    "offset"    bigint NOT NULL,         -- of their channel of the feed
    at          timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE customer_seen IS 'How far each customer has seen their own page.';

CREATE TABLE IF NOT EXISTS staff (
    staff_id     text PRIMARY KEY,
    duty         text NOT NULL CHECK (duty IN ('cell_lead', 'dispatcher')),
    district     text NOT NULL,
    language     text NOT NULL,
    name_sealed  bytea,
    phone_sealed bytea,
    phone_index  bytea
);
CREATE INDEX IF NOT EXISTS staff_district ON staff (district);
COMMENT ON TABLE staff IS
    'Who is told of a district''s outages; in notices and decisions they are staff:ID.';

----------------------------------------------------------------------------------------------------
-- The desk
----------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS calls (
    call_no     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id text NOT NULL,
    at          timestamptz NOT NULL,    -- when it was noticed, as the caller says
    received_at timestamptz NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('no_power', 'partial', 'restored')),
    entered_by  text NOT NULL,           -- customer, or the dispatcher's name
    text_sealed bytea                    -- people say names and numbers
);
CREATE INDEX IF NOT EXISTS calls_received ON calls (received_at);
COMMENT ON TABLE calls IS 'Trouble calls (95598, web, app).';

CREATE TABLE IF NOT EXISTS plans (
    plan_id      text PRIMARY KEY,
    device_id    text NOT NULL,
    from_at      timestamptz NOT NULL,
    to_at        timestamptz NOT NULL,
    kind         text NOT NULL,
    districts    text[] NOT NULL,
    reason       text NOT NULL,
    entered_by   text NOT NULL,
    entered_at   timestamptz NOT NULL,
    cancelled_at timestamptz,
    cancelled_by text
);
CREATE INDEX IF NOT EXISTS plans_time ON plans (to_at, from_at);
COMMENT ON TABLE plans IS 'Planned, temporary, arrears and curtailment outages (the outage pool).';

CREATE TABLE IF NOT EXISTS decisions (
    id         text PRIMARY KEY,
    outage_id  text NOT NULL,            -- or the device, where a switch was thrown
    group_slug text NOT NULL,
    at         timestamptz NOT NULL,     -- stream time
    by         text NOT NULL,
    role       text NOT NULL,
    action     text NOT NULL,
    reason     text NOT NULL,            -- the person's words
    accepted   boolean NOT NULL,
    why        text NOT NULL,            -- why it was not taken; else what it did
    version    integer NOT NULL,         -- of the outage after it
    undoes     text,                     -- the decision that it takes back
    position   bigint NOT NULL           -- the frame that brought it
);
CREATE INDEX IF NOT EXISTS decisions_outage ON decisions (outage_id, at);
COMMENT ON TABLE decisions IS 'What people decided about outages and switches, and what became of it.';

CREATE TABLE IF NOT EXISTS crews (
    crew_id  text PRIMARY KEY,
    name     text NOT NULL,
    district text,                       -- null: works in all of them
    active   boolean NOT NULL
);
COMMENT ON TABLE crews IS 'Crews that can be sent; busy are those whose outage has not ended.';

CREATE TABLE IF NOT EXISTS quarantine (
    quarantine_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at   timestamptz NOT NULL,
    source        text NOT NULL,
    topic         text NOT NULL,
    reason        text NOT NULL,
    length        bigint NOT NULL,       -- of the whole payload
    sha256        text NOT NULL,         -- of the whole payload
    body          bytea NOT NULL CHECK (length(body) <= 65536),
    replayed_at   timestamptz
);
CREATE INDEX IF NOT EXISTS quarantine_received ON quarantine (received_at);
COMMENT ON TABLE quarantine IS 'Payloads that could not be read; they expire.';

CREATE TABLE IF NOT EXISTS audit (
    audit_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    event    text NOT NULL,              -- a constant word
    subject  text,                       -- who it was, as far as known
    address  text,
    detail   text NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
COMMENT ON TABLE audit IS 'Who asked for what.  Append-only; rows may go after 180 days.';

CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '180 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER audit_rows_stay BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE OR REPLACE TRIGGER audit_stays BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

----------------------------------------------------------------------------------------------------
-- Load and reliability, added up
--
-- The same names everywhere: on TimescaleDB Community continuous aggregates with their policies,
-- elsewhere views over what upkeep adds up (store/upkeep.py).  Which of the two is decided when the
-- database is made.  docs/decisions/0023.
----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION has_community() RETURNS boolean LANGUAGE sql STABLE AS
    $$ SELECT has_timescale()
           AND coalesce(current_setting('timescaledb.license', true), '') = 'timescale' $$;
COMMENT ON FUNCTION has_community IS 'Has this TimescaleDB policies, compression and aggregates?';

-- Readings come in the order of receipt, so a few pages of this index find any half hour of a day.
CREATE INDEX IF NOT EXISTS readings_received ON readings
    USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE IF NOT EXISTS interruptions (
    off_at    timestamptz NOT NULL,
    on_at     timestamptz NOT NULL,
    outage_id text NOT NULL,
    step_no   integer NOT NULL,
    feeder_id text NOT NULL,             -- empty: of a customer that the network no longer has
    district  text NOT NULL,
    kind      text NOT NULL,             -- of the outage: fault, planned, ...
    momentary boolean NOT NULL,          -- by the engine's limit; sustained ones count for SAIDI
    customers integer NOT NULL,
    UNIQUE (off_at, outage_id, step_no, feeder_id, district)
);
COMMENT ON TABLE interruptions IS
    'Each step of each outage that has ended, by feeder and district: what SAIDI and SAIFI count.';

CREATE TABLE IF NOT EXISTS interruptions_counted (outage_id text PRIMARY KEY);
COMMENT ON TABLE interruptions_counted IS 'Outages that interruptions has.';

CREATE TABLE IF NOT EXISTS load_kept (
    half_hour   timestamptz NOT NULL,
    measured_by text NOT NULL,
    feeder_id   text NOT NULL,
    district    text NOT NULL,
    devices     bigint NOT NULL,
    readings    bigint NOT NULL,
    mean_kw     double precision NOT NULL,  -- of a reading
    PRIMARY KEY (half_hour, measured_by, feeder_id, district)
);
COMMENT ON TABLE load_kept IS 'Half hours that were added up; empty where TimescaleDB does it.';

CREATE TABLE IF NOT EXISTS load_kept_until (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    until_at timestamptz NOT NULL
);
COMMENT ON TABLE load_kept_until IS 'The end of the last half hour that load_kept has.';

-- By receipt, the one time that never comes late.  A feeder's breaker measures the whole feeder,
-- meters and transformers a part each.
DO $$
DECLARE
    load text := $q$
        SELECT %s AS half_hour,
               CASE WHEN d.device_id = d.feeder_id THEN 'feeder' ELSE d.kind END AS measured_by,
               coalesce(d.feeder_id, '') AS feeder_id, d.district,
               count(DISTINCT r.device_no) AS devices, count(*) AS readings,
               avg(r.power_kw::double precision) AS mean_kw
        FROM readings r JOIN network_devices d ON d.device_no = r.device_no
        WHERE r.power_kw IS NOT NULL %s
        GROUP BY 1, 2, 3, 4 $q$;
    off text := $q$
        SELECT %s AS half_hour, district, kind,
               sum(customers) FILTER (WHERE NOT momentary) AS interrupted,
               sum(customers * extract(epoch FROM on_at - off_at)) FILTER (WHERE NOT momentary)
                   AS customer_seconds,
               sum(customers) FILTER (WHERE momentary) AS momentary
        FROM interruptions GROUP BY 1, 2, 3 $q$;
    bucket text := 'time_bucket(''30 minutes''::interval, %s)';
    bin    text := 'date_bin(''30 minutes'', %s, timestamptz ''2000-01-01 00:00+00'')';
BEGIN
    IF has_timescale() THEN
        PERFORM create_hypertable('interruptions', 'off_at', create_default_indexes => false,
            chunk_time_interval => interval '90 days', if_not_exists => true);
    END IF;
    IF to_regclass('load_half_hours') IS NOT NULL THEN
        RETURN;
    END IF;
    IF has_community() THEN
        EXECUTE 'CREATE MATERIALIZED VIEW load_half_hours
            WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS'
            || format(load, format(bucket, 'r.received_at'), '') || 'WITH NO DATA';
        EXECUTE 'CREATE MATERIALIZED VIEW interruption_half_hours
            WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS'
            || format(off, format(bucket, 'off_at')) || 'WITH NO DATA';
    ELSE
        EXECUTE 'CREATE FUNCTION load_between(begun timestamptz, until timestamptz)
            RETURNS SETOF load_kept LANGUAGE sql STABLE SECURITY DEFINER
            SET search_path FROM CURRENT AS $f$'
            || format(load, format(bin, 'r.received_at'),
                'AND r.received_at >= begun AND r.received_at < until') || '$f$';
        EXECUTE 'CREATE VIEW load_half_hours AS SELECT * FROM load_kept UNION ALL
            SELECT * FROM load_between(
                coalesce((SELECT until_at FROM load_kept_until), ''-infinity''), ''infinity'')';
        EXECUTE 'CREATE VIEW interruption_half_hours AS' || format(off, format(bin, 'off_at'));
    END IF;
END $$;

-- What TimescaleDB Community does by itself, in the background.  How long things are kept is told by
-- keep_days(), from the settings; what is not readings or events stays until then.
DO $$
BEGIN
    IF NOT has_community() THEN
        RETURN;
    END IF;
    ALTER TABLE device_events SET (timescaledb.compress,
        timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'device_no, happened_at');
    PERFORM add_compression_policy('device_events', interval '30 days', if_not_exists => true);
    PERFORM add_continuous_aggregate_policy('load_half_hours', start_offset => interval '2 days',
        end_offset => interval '30 minutes', schedule_interval => interval '30 minutes',
        if_not_exists => true);
    PERFORM add_continuous_aggregate_policy('interruption_half_hours',
        start_offset => interval '90 days', end_offset => interval '30 minutes',
        schedule_interval => interval '30 minutes', if_not_exists => true);
END $$;

-- Tell the background how long something is kept; elsewhere whoever calls drop_days() does it.
CREATE OR REPLACE FUNCTION keep_days(relation text, days integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT has_community() THEN
        RETURN;
    END IF;
    IF EXISTS (
        SELECT FROM timescaledb_information.jobs j
        LEFT JOIN timescaledb_information.continuous_aggregates c
            ON c.materialization_hypertable_name = j.hypertable_name
        WHERE j.proc_name = 'policy_retention'
          AND relation = coalesce(c.view_name, j.hypertable_name)
          AND (j.config->>'drop_after')::interval = make_interval(days => days))
    THEN
        RETURN;
    END IF;
    PERFORM remove_retention_policy(relation::regclass, if_exists => true);
    PERFORM add_retention_policy(relation::regclass, make_interval(days => days));
END $$;
COMMENT ON FUNCTION keep_days IS 'Where TimescaleDB drops old days by itself: after how many.';

-- A half hour is kept once it has been over for an hour: all of it has been committed by then.
CREATE OR REPLACE FUNCTION keep_load(now_at timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    origin constant timestamptz := '2000-01-01 00:00+00';
    begun  timestamptz;
    until  timestamptz := date_bin('30 minutes', now_at - interval '1 hour', origin);
    added  integer;
BEGIN
    IF has_community() THEN
        RETURN 0;  -- a policy does it
    END IF;
    PERFORM pg_advisory_xact_lock(1818325366);
    SELECT until_at INTO begun FROM load_kept_until;
    IF begun IS NULL THEN
        SELECT date_bin('30 minutes', min(received_at), origin) INTO begun FROM readings;
    END IF;
    until := least(until, begun + interval '1 day');  -- after a long pause a day at a time
    IF begun IS NULL OR begun >= until THEN
        RETURN 0;
    END IF;
    INSERT INTO load_kept SELECT * FROM load_between(begun, until);
    GET DIAGNOSTICS added = ROW_COUNT;
    INSERT INTO load_kept_until (until_at) VALUES (until)
        ON CONFLICT (only_one) DO UPDATE SET until_at = excluded.until_at;
    RETURN added;
END $$;
COMMENT ON FUNCTION keep_load IS 'Add up the half hours that are over; how many rows it made.';

CREATE OR REPLACE VIEW feeder_load AS
    SELECT half_hour, feeder_id,
           sum(mean_kw) FILTER (WHERE measured_by = 'feeder') AS breaker_kw,
           sum(mean_kw * devices) FILTER (WHERE measured_by = 'transformer') AS transformers_kw,
           sum(mean_kw * devices) FILTER (WHERE measured_by = 'meter') AS meters_kw,
           sum(devices) FILTER (WHERE measured_by = 'meter') AS meters
    FROM load_half_hours GROUP BY half_hour, feeder_id;
COMMENT ON VIEW feeder_load IS
    'Load by feeder and half hour of receipt: at its breaker, its transformers, and its meters heard.';

CREATE OR REPLACE VIEW district_load AS
    SELECT half_hour, district,
           sum(mean_kw * devices) FILTER (WHERE measured_by = 'transformer') AS transformers_kw,
           sum(mean_kw * devices) FILTER (WHERE measured_by = 'meter') AS meters_kw,
           sum(devices) FILTER (WHERE measured_by = 'meter') AS meters
    FROM load_half_hours GROUP BY half_hour, district;
COMMENT ON VIEW district_load IS 'Load by district and half hour of receipt.';

CREATE OR REPLACE VIEW reliability_days AS
    SELECT date_trunc('day', i.half_hour)::date AS day, i.district, i.kind,
           coalesce(sum(i.interrupted), 0) AS interrupted,
           coalesce(sum(i.customer_seconds), 0) / 60 AS customer_minutes,
           coalesce(sum(i.momentary), 0) AS momentary,
           max(s.customers) AS customers_served
    FROM interruption_half_hours i
    LEFT JOIN (SELECT district, sum(customers) AS customers FROM network_devices
               WHERE kind = 'meter' GROUP BY district) s USING (district)
    GROUP BY 1, 2, 3;
COMMENT ON VIEW reliability_days IS
    'What SAIDI (customer_minutes / served) and SAIFI (interrupted / served) are made of, by the day
     of the session''s time zone on which an interruption began (IEEE 1366); only what has ended.';

----------------------------------------------------------------------------------------------------
-- For a person at psql
----------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW outages_now AS
    SELECT id, state, kind, device_kind, device_id, feeder_id, customers_out, customers_affected,
           round(probability::numeric, 4) AS probability, started_at, confirmed_at, restored_at,
           etr_at, stage, crew, acknowledged_by, evidence, version
    FROM outages WHERE ended_at IS NULL ORDER BY customers_out DESC, started_at;
COMMENT ON VIEW outages_now IS 'Outages that have not ended, the largest first.';

CREATE OR REPLACE VIEW dark_customers AS
    SELECT p.customer_id, c.meter_id, c.priority, d.district, d.feeder_id, p.off_at,
           o.id AS outage_id, o.state, o.kind, o.device_id, o.etr_at
    FROM customer_power p
    JOIN outages o ON o.id = p.outage_id AND o.ended_at IS NULL
    LEFT JOIN customers c USING (customer_id)
    LEFT JOIN network_devices d ON d.device_id = c.meter_id
    WHERE p.off_at IS NOT NULL AND p.on_at IS NULL;
COMMENT ON VIEW dark_customers IS 'Who has no power now, and why.';

CREATE OR REPLACE VIEW dark_feeders AS
    SELECT feeder_id, district, count(*) AS customers, min(off_at) AS since
    FROM dark_customers GROUP BY feeder_id, district;
COMMENT ON VIEW dark_feeders IS 'Customers without power, by feeder and district.';

CREATE OR REPLACE VIEW open_findings AS
    SELECT id, kind, device_id, district, since_at, reason, at
    FROM findings WHERE until_at IS NULL ORDER BY since_at DESC;
COMMENT ON VIEW open_findings IS 'Comms losses, phase losses and the like that go on now.';

CREATE OR REPLACE VIEW reading_log AS
    SELECT r.happened_at, r.received_at, d.device_id, k.word AS kind, r.energised, r.commanded,
           r.volts_a, r.volts_b, r.volts_c, r.amps_a, r.amps_b, r.amps_c, r.power_kw, r.phases,
           r.off_at, v.device_id AS concentrator, r.boot, r.seq, r.quality, r.device_no
    FROM readings r
    JOIN devices d ON d.device_no = r.device_no
    JOIN reading_kinds k ON k.kind = r.kind
    LEFT JOIN devices v ON v.device_no = r.via_no;
COMMENT ON VIEW reading_log IS 'Readings with names and words.';

CREATE OR REPLACE VIEW event_log AS
    SELECT e.happened_at, e.received_at, d.device_id, k.word AS kind, e.energised, e.commanded,
           e.phases, e.off_at, v.device_id AS concentrator, e.boot, e.seq, e.quality, e.device_no
    FROM device_events e
    JOIN devices d ON d.device_no = e.device_no
    JOIN reading_kinds k ON k.kind = e.kind
    LEFT JOIN devices v ON v.device_no = e.via_no;
COMMENT ON VIEW event_log IS 'Device events with names and words.';

CREATE OR REPLACE VIEW outbox AS
    SELECT n.notice_no, n.state, n.reason, n.lane, n.due_at, n.outage_id, n.customer_id, n.phase,
           n.edition, n.attempts, n.claimed_at, n.sent_at, n.ended_at, d.reason AS decided
    FROM notices n JOIN notice_decisions d USING (decision_no)
    WHERE n.state IN ('queued', 'sending', 'sent', 'unknown') ORDER BY n.lane, n.due_at, n.notice_no;
COMMENT ON VIEW outbox IS 'Notices that wait, are on their way, or nobody knows of.';

CREATE OR REPLACE VIEW change_log AS
    SELECT at, outage_id, version, outage->>'state' AS state, outage->>'device_id' AS device_id,
           (outage->>'customers_out')::integer AS customers_out, cardinality(customers) AS customers,
           reason, committed_at
    FROM changes ORDER BY at, outage_id, version;
COMMENT ON VIEW change_log IS 'What happened to each outage, and why.';

-- Whoever draws dashboards reads these and nothing else (deploy/timescaledb/init.sh makes the role).
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastgasp_reader') THEN
        GRANT USAGE ON SCHEMA public TO lastgasp_reader;
        GRANT SELECT ON outages_now, dark_feeders, open_findings, feeder_load, district_load,
            load_half_hours, interruption_half_hours, reliability_days TO lastgasp_reader;
    END IF;
END $$;
