-- The store's statements.  store/queries.py gives each by its name; arrays come with %b (binary).

-- name: lock_networks
-- One network is saved at a time.
SELECT pg_advisory_xact_lock(1818325364)

-- name: network_in_force
-- The version that holds at a moment.
SELECT version FROM network_versions WHERE valid_from <= %s
ORDER BY valid_from DESC, network_no DESC LIMIT 1

-- name: newest_network
-- The version with the last valid_from.
SELECT version FROM network_versions ORDER BY valid_from DESC, network_no DESC LIMIT 1

-- name: network_graph
-- A network whole.
SELECT graph, contacts FROM network_graphs WHERE version = %s

-- name: network_versions
-- The history of networks.
SELECT v.version, v.valid_from, v.source, v.saved_at, g.devices, g.customers
FROM network_versions v JOIN network_graphs g USING (version)
ORDER BY v.valid_from, v.network_no

-- name: add_network_graph
-- Keep a network; one that is known stays, but for its contacts.
INSERT INTO network_graphs (version, graph, contacts, devices, customers)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (version) DO UPDATE SET contacts = excluded.contacts

-- name: add_network_version
-- A network holds from a moment on.
INSERT INTO network_versions (version, valid_from, source) VALUES (%s, %s, %s)

-- name: add_feeder_group
-- How a group's rows name their devices.
INSERT INTO feeder_groups (version, group_no, slug, name, device_nos, dcu_nos, kinds)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING

-- name: feeder_groups
-- The groups of a version, by number.
SELECT slug, device_nos, dcu_nos, kinds FROM feeder_groups WHERE version = %s ORDER BY group_no

-- name: make_incoming_devices
-- Where the names of a network's devices arrive.
CREATE TEMPORARY TABLE incoming_devices (class text, device_id text) ON COMMIT DROP

-- name: copy_incoming_devices
-- The names of a network's devices.
COPY incoming_devices (class, device_id) FROM STDIN

-- name: register_devices
-- Give a number to each device that has none.
INSERT INTO devices (class, device_id)
SELECT DISTINCT i.class, i.device_id FROM incoming_devices i
WHERE NOT EXISTS (SELECT FROM devices d WHERE (d.class, d.device_id) = (i.class, i.device_id))
ORDER BY 1, 2

-- name: numbers_of_incoming_devices
-- The numbers of a network's devices.
SELECT d.class, d.device_id, d.device_no FROM devices d
JOIN incoming_devices i ON (d.class, d.device_id) = (i.class, i.device_id)

-- name: forget_customers
-- Another network is the newest now.
DELETE FROM customers

-- name: copy_customers
-- The customers of the newest network.
COPY customers (customer_id, meter_id, language, priority, name_sealed, phone_sealed, phone_index,
                address_sealed)
FROM STDIN

-- name: make_incoming_network
-- Where the devices of the newest network arrive.
CREATE TEMPORARY TABLE incoming_network (LIKE network_devices) ON COMMIT DROP;
ALTER TABLE incoming_network ALTER device_no DROP NOT NULL

-- name: copy_incoming_network
-- The devices of the newest network, without their numbers.
COPY incoming_network (device_id, kind, group_slug, parent_id, feeder_id, district, phases,
                       telemetered, x, y, customers) FROM STDIN

-- name: forget_network_devices
-- Another network is the newest now.
DELETE FROM network_devices

-- name: add_network_devices
-- The devices of the newest network.
INSERT INTO network_devices (device_id, device_no, kind, group_slug, parent_id, feeder_id, district,
                             phases, telemetered, x, y, customers)
SELECT i.device_id, d.device_no, i.kind, i.group_slug, i.parent_id, i.feeder_id, i.district,
       i.phases, i.telemetered, i.x, i.y, i.customers
FROM incoming_network i JOIN devices d ON d.class = 'device' AND d.device_id = i.device_id

-- name: lock_progress
-- How far some groups are, so that nobody else goes on with them meanwhile.
SELECT group_slug, position FROM progress WHERE group_slug = ANY (%b::text[])
ORDER BY group_slug FOR UPDATE

-- name: heads
-- What some outages say to everybody in them alike.
SELECT o.id, convert_to(c.outage::text, 'UTF8')
FROM outages o JOIN changes c ON (c.outage_id, c.version) = (o.id, o.version)
WHERE o.id = ANY (%b::text[])

-- name: standings
-- The last step of some customers, those with the same together.
SELECT outage_id, off_at, on_at, inferred, array_agg(customer_id) FROM customer_power
WHERE customer_id = ANY (ARRAY(SELECT json_array_elements_text(%s::json)))
GROUP BY outage_id, off_at, on_at, inferred

-- name: this_transaction
-- Under which number to ask later whether this was committed.
SELECT pg_current_xact_id()::text

-- name: transaction_outcome
-- What became of a transaction: committed, aborted, in progress, or NULL if long ago.
SELECT pg_xact_status(%s::xid8)

-- name: recorded_digests
-- What is recorded at some positions.
SELECT f.group_slug, f.position, f.digest FROM recorded_frames f
JOIN unnest(%b::text[], %b::bigint[]) AS asked (group_slug, position) USING (group_slug, position)

-- name: ensure_days
-- Room for the readings of some days.
SELECT ensure_day(day) FROM unnest(%s::date[]) AS day

-- name: record_frames
-- The stream as it was applied.
INSERT INTO recorded_frames (group_slug, position, until_at, readings, digest, body)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::timestamptz[], %b::integer[], %b::bigint[],
                     %b::bytea[])

-- name: keep_snapshots
-- Engines after a frame.
INSERT INTO snapshots (group_slug, position, until_at, body)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::timestamptz[], %b::bytea[])

-- name: claim_partition
-- Take a partition of the bus over: waits for a commit under way, and fences whoever had it.  Who
-- holds a generation may ask again: the answer to a first time may have been lost.
INSERT INTO bus_partitions (topic, partition, generation, owner) VALUES (%(topic)s, %(partition)s, 1, %(owner)s)
ON CONFLICT (topic, partition) DO UPDATE
SET generation = bus_partitions.generation + 1, owner = excluded.owner, claimed_at = now()
WHERE %(held)s::bigint IS NULL OR bus_partitions.generation = %(held)s
   OR (bus_partitions.generation = %(held)s + 1 AND bus_partitions.owner = excluded.owner)
RETURNING generation, next_offset, marks

-- name: hold_partition
-- Whether a partition is still ours, and how far it is; nobody takes it over meanwhile.
SELECT generation, next_offset FROM bus_partitions WHERE topic = %s AND partition = %s FOR UPDATE

-- name: advance_partition
-- How far a partition is now.
UPDATE bus_partitions SET next_offset = %s, marks = %b WHERE topic = %s AND partition = %s

-- name: advance
-- How far each group is now.
INSERT INTO progress (group_slug, position, until_at, network)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::timestamptz[], %b::text[])
ON CONFLICT (group_slug) DO UPDATE
SET position = excluded.position, until_at = excluded.until_at, network = excluded.network

-- name: hear_sources
-- When each kind of source was heard.
INSERT INTO sources (source, group_slug, heard_at, readings, deaf_since)
SELECT source, group_slug, heard_at, readings, deaf_since FROM json_to_recordset(%(rows)s::json)
    AS r (source text, group_slug text, heard_at timestamptz, readings bigint, deaf_since timestamptz)
ORDER BY source, group_slug
ON CONFLICT (source, group_slug) DO UPDATE
SET heard_at = greatest(sources.heard_at, excluded.heard_at),
    readings = sources.readings + excluded.readings,
    deaf_since = CASE WHEN (excluded.source, excluded.group_slug) IN
        (SELECT source, group_slug FROM json_to_recordset(%(rows)s::json)
         AS r (source text, group_slug text, tells boolean) WHERE tells)
        THEN excluded.deaf_since ELSE sources.deaf_since END

-- name: write_outages
-- Each outage as of its last version; an older one changes nothing.
INSERT INTO outages AS o
SELECT * FROM json_populate_recordset(NULL::outages, %s::json)
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, group_slug = excluded.group_slug, state = excluded.state,
    kind = excluded.kind, cause = excluded.cause, device_id = excluded.device_id,
    device_kind = excluded.device_kind, feeder_id = excluded.feeder_id,
    districts = excluded.districts, phases = excluded.phases, probability = excluded.probability,
    started_at = excluded.started_at, detected_at = excluded.detected_at,
    confirmed_at = excluded.confirmed_at, restored_at = excluded.restored_at,
    customers_affected = excluded.customers_affected, customers_out = excluded.customers_out,
    etr_at = excluded.etr_at, etr_source = excluded.etr_source,
    etr_confidence = excluded.etr_confidence, evidence = excluded.evidence,
    parent_id = excluded.parent_id, changed_at = excluded.changed_at, ended_at = excluded.ended_at,
    acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by,
    crew = excluded.crew, stage = excluded.stage
WHERE o.version < excluded.version

-- name: write_steps
-- The steps of some outages; those that did not change are left alone.
INSERT INTO outage_steps AS s
SELECT * FROM json_populate_recordset(NULL::outage_steps, %s::json)
ON CONFLICT (outage_id, step_no) DO UPDATE SET
    off_at = excluded.off_at, on_at = excluded.on_at, inferred = excluded.inferred,
    customers = excluded.customers
WHERE (s.off_at, s.on_at, s.inferred, s.customers)
    IS DISTINCT FROM (excluded.off_at, excluded.on_at, excluded.inferred, excluded.customers)

-- name: drop_steps
-- Steps that an outage has no more.
DELETE FROM outage_steps s USING unnest(%b::text[], %b::integer[]) AS kept (outage_id, steps)
WHERE s.outage_id = kept.outage_id AND s.step_no >= kept.steps

-- name: log_changes
-- The change log.
INSERT INTO changes (outage_id, version, group_slug, at, reason, customers, outage, position,
                     reasons, by, decision)
SELECT * FROM json_to_recordset(%s::json)
    AS r (outage_id text, version integer, group_slug text, at timestamptz, reason text,
          customers text[], outage json, position bigint, reasons json, by text, decision text)

-- name: write_decisions
-- What became of people's decisions; the first word on each counts.
INSERT INTO decisions SELECT * FROM json_populate_recordset(NULL::decisions, %s::json)
ON CONFLICT (id) DO NOTHING

-- name: write_findings
-- Each finding as last said.
INSERT INTO findings AS f
SELECT * FROM json_populate_recordset(NULL::findings, %s::json)
ON CONFLICT (id) DO UPDATE SET
    at = excluded.at, kind = excluded.kind, device_id = excluded.device_id,
    district = excluded.district, since_at = excluded.since_at, until_at = excluded.until_at,
    reason = excluded.reason

-- name: enter_plans
-- Plans that the engine was told of; the desk usually knows more of them and came first.
INSERT INTO plans (plan_id, device_id, from_at, to_at, kind, districts, reason, entered_by, entered_at)
SELECT plan_id, device_id, from_at, to_at, kind, '{}', reason, '', entered_at
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[],
            %s::timestamptz[])
    AS p (plan_id, device_id, from_at, to_at, kind, reason, entered_at)
ON CONFLICT DO NOTHING

-- name: cancel_plans
-- Plans that the engine was told to forget.
UPDATE plans SET cancelled_at = c.at FROM unnest(%s::text[], %s::timestamptz[]) AS c (plan_id, at)
WHERE plans.plan_id = c.plan_id AND cancelled_at IS NULL

-- name: keep_quarantined
-- Payloads that could not be read.
INSERT INTO quarantine (received_at, source, topic, reason, body, length, sha256)
SELECT * FROM unnest(%b::timestamptz[], %b::text[], %b::text[], %b::text[], %b::bytea[],
                     %b::bigint[], %b::text[])

-- name: tell
-- The dispatch channels: each channel's row gives the offsets and is held until the commit, so they
-- have no gaps and come in the order of the commits.
WITH told AS MATERIALIZED (
    SELECT ordinality AS place, channel, at, type, body,
           row_number() OVER (PARTITION BY channel ORDER BY ordinality) AS nth
    FROM ROWS FROM (json_to_recordset(%s::json)
        AS (channel text, at timestamptz, type text, body json)) WITH ORDINALITY
), tops AS (
    INSERT INTO feed_channels AS c (channel, top)
    SELECT channel, count(*) FROM told GROUP BY channel ORDER BY channel
    ON CONFLICT (channel) DO UPDATE SET top = c.top + excluded.top
    RETURNING channel, top
), counts AS (
    SELECT channel, count(*) AS n FROM told GROUP BY channel
)
INSERT INTO feed_log (channel, "offset", at, type, body)
SELECT channel, tops.top - counts.n + nth, at, type, body
FROM told JOIN tops USING (channel) JOIN counts USING (channel)

-- name: tell_customers
-- The customers' channels, in the same way; the row that gives the offsets is that of their standing.
WITH told AS MATERIALIZED (
    SELECT customer_id, at, body, row_number() OVER of_customer AS nth, count(*) OVER whole AS n
    FROM ROWS FROM (json_to_recordset(%(told)s::json)
        AS (customers text[], at timestamptz, body json)) WITH ORDINALITY
        AS r (customers, at, body, place), unnest(customers) AS customer_id
    WINDOW whole AS (PARTITION BY customer_id), of_customer AS (whole ORDER BY place)
), tops AS (
    INSERT INTO customer_power AS p
        (customer_id, outage_id, off_at, on_at, inferred, changed_at, feed_top)
    SELECT customer_id, outage_id, off_at, on_at, inferred, changed_at, n
    FROM json_to_recordset(%(standings)s::json)
        AS r (customers text[], outage_id text, off_at timestamptz, on_at timestamptz,
              inferred boolean, changed_at timestamptz),
        unnest(customers) AS customer_id JOIN told USING (customer_id)
    WHERE nth = 1
    ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET
        outage_id = excluded.outage_id, off_at = excluded.off_at, on_at = excluded.on_at,
        inferred = excluded.inferred, changed_at = excluded.changed_at,
        feed_top = p.feed_top + excluded.feed_top
    RETURNING customer_id, feed_top
)
INSERT INTO feed_log (channel, "offset", at, type, body)
SELECT 'customer:' || customer_id, feed_top - n + nth, at, 'status',
       ('{"customer_id":' || to_json(customer_id) || ',' || substr(body::text, 2))::json
FROM told JOIN tops USING (customer_id)

-- name: wake_feeds
-- Tell whoever listens in which channels there is news, once this is committed.
SELECT pg_notify('lastgasp_feed', names) FROM unnest(%s::text[]) AS names

-- name: progress
-- How far a group is, and its newest snapshot.
SELECT p.position, p.until_at, s.position, s.body FROM progress p
LEFT JOIN LATERAL (SELECT position, body FROM snapshots WHERE group_slug = p.group_slug
                   ORDER BY position DESC LIMIT 1) s ON true
WHERE p.group_slug = %s

-- name: snapshot_before
-- The last engine kept that had not come beyond a moment.
SELECT position, until_at, body FROM snapshots WHERE group_slug = %s AND until_at <= %s
ORDER BY position DESC LIMIT 1

-- name: recorded
-- The frames after a position.
SELECT position, body FROM recorded_frames WHERE group_slug = %s AND position > %s
ORDER BY position LIMIT %s

-- name: outages
-- Outages as they are, newest first.
SELECT convert_to(c.outage::text, 'UTF8')
FROM outages o JOIN changes c ON (c.outage_id, c.version) = (o.id, o.version)
WHERE CASE WHEN %(state)s::text IS NULL THEN o.ended_at IS NULL ELSE o.state = %(state)s END
  AND (%(districts)s::text[] IS NULL OR o.districts && %(districts)s)
ORDER BY o.started_at DESC, o.id DESC LIMIT %(limit)s

-- name: outages_at
-- Outages as they were at a moment, newest first.
SELECT convert_to(c.outage::text, 'UTF8')
FROM outages o CROSS JOIN LATERAL (
    SELECT outage FROM changes WHERE outage_id = o.id AND at <= %(at)s
    ORDER BY version DESC LIMIT 1) c
WHERE (%(state)s::text IS NOT NULL OR o.ended_at IS NULL OR o.ended_at > %(at)s)
  AND (%(state)s::text IS NULL OR c.outage->>'state' = %(state)s)
  AND (%(districts)s::text[] IS NULL
       OR EXISTS (SELECT FROM json_array_elements_text(c.outage->'districts') AS d
                  WHERE d = ANY (%(districts)s)))
ORDER BY c.outage->>'started_at' DESC, o.id DESC LIMIT %(limit)s

-- name: changes_of
-- The change log of an outage.
SELECT at, reason, cardinality(customers), convert_to(outage::text, 'UTF8'),
       convert_to(reasons::text, 'UTF8'), by, decision
FROM changes WHERE outage_id = %s ORDER BY version

-- name: steps_of
-- The steps of an outage.
SELECT off_at, on_at, inferred, customers FROM outage_steps WHERE outage_id = %s ORDER BY step_no

-- name: findings
-- Findings, newest first.
SELECT id, at, kind, device_id, district, since_at, until_at, reason FROM findings
WHERE (NOT %(open_only)s OR until_at IS NULL)
  AND (%(districts)s::text[] IS NULL OR district = ANY (%(districts)s))
ORDER BY at DESC, id DESC LIMIT %(limit)s

-- name: customer_status
-- A customer's last step and the outage it is of, as it is now.  A step that is still open in an
-- outage that has ended (rejected) is none, as of when that was said.  Who was never concerned: as
-- of the network's begin.
SELECT p.off_at, p.on_at, coalesce(p.inferred, false), convert_to(l.outage::text, 'UTF8'),
       coalesce(greatest(p.changed_at, o.changed_at), last.changed_at,
                (SELECT max(valid_from) FROM network_versions))
FROM customers c
LEFT JOIN customer_power last USING (customer_id)
LEFT JOIN (customer_power p JOIN outages o ON o.id = p.outage_id
           AND (p.on_at IS NOT NULL OR o.ended_at IS NULL)
           JOIN changes l ON (l.outage_id, l.version) = (o.id, o.version)) USING (customer_id)
WHERE c.customer_id = %s

-- name: one_moment
-- All that follows in this transaction is seen at one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: feed_position
-- The epoch and the last offset of a dispatch channel.
SELECT epoch, coalesce((SELECT top FROM feed_channels WHERE channel = %s), 0) FROM feed_epoch

-- name: customer_feed_position
-- The epoch and the last offset of a customer's channel.
SELECT epoch, coalesce((SELECT feed_top FROM customer_power WHERE customer_id = %s), 0)
FROM feed_epoch

-- name: feed_positions
-- The epoch, and where many channels are, dispatch channels and customers' alike.
SELECT epoch, channel, coalesce(c.top, p.feed_top, 0)
FROM feed_epoch CROSS JOIN unnest(%s::text[]) AS asked (channel)
LEFT JOIN feed_channels c USING (channel)
LEFT JOIN customer_power p ON channel LIKE 'customer:%%' AND customer_id = substr(channel, 10)

-- name: feed_read
-- What a channel said after an offset; moments in epoch milliseconds.
SELECT "offset", (date_part('epoch', at) * 1000)::bigint, type, convert_to(body::text, 'UTF8')
FROM feed_log
WHERE channel = %s AND "offset" > %s ORDER BY "offset" LIMIT %s

-- name: feed_read_many
-- What many channels said after an offset each, a JSON object of them: a storm asks for thousands.
SELECT asked.key, said."offset", (date_part('epoch', said.at) * 1000)::bigint, said.type,
       convert_to(said.body::text, 'UTF8')
FROM json_each_text(convert_from(%b, 'UTF8')::json) AS asked
CROSS JOIN LATERAL (SELECT "offset", at, type, body FROM feed_log
                    WHERE channel = asked.key AND "offset" > asked.value::bigint
                    ORDER BY "offset" LIMIT %s) AS said

-- name: feed_trim
-- Forget what was said before a moment.
DELETE FROM feed_log WHERE at < %(before)s

-- name: listen_feeds
-- Be told when there is news.
LISTEN lastgasp_feed

-- name: add_call
-- A trouble call.
INSERT INTO calls (customer_id, at, received_at, kind, entered_by, text_sealed)
VALUES (%s, %s, %s, %s, %s, %s)
RETURNING call_no, customer_id, at, received_at, kind, entered_by, text_sealed

-- name: calls
-- Calls, newest first.
SELECT call_no, customer_id, at, received_at, kind, entered_by, text_sealed FROM calls
WHERE %(customer_id)s::text IS NULL OR customer_id = %(customer_id)s
ORDER BY call_no DESC LIMIT %(limit)s

-- name: outage_calls
-- Calls of the customers of an outage since an hour before it began, newest first.
SELECT call_no, customer_id, at, received_at, kind, entered_by, text_sealed FROM calls
WHERE customer_id IN (SELECT unnest(customers) FROM outage_steps WHERE outage_id = %(outage_id)s)
  AND at >= (SELECT started_at FROM outages WHERE id = %(outage_id)s) - interval '1 hour'
  AND at <= (SELECT coalesce(ended_at, 'infinity') FROM outages WHERE id = %(outage_id)s)
ORDER BY call_no DESC LIMIT %(limit)s

-- name: decision
-- What became of one decision.
SELECT id, outage_id, at, by, role, action, reason, accepted, why, version, undoes
FROM decisions WHERE id = %s

-- name: decisions_of
-- All decisions about an outage or a switch, oldest first.
SELECT id, outage_id, at, by, role, action, reason, accepted, why, version, undoes
FROM decisions WHERE outage_id = %(outage_id)s ORDER BY at, id LIMIT %(limit)s

-- name: told_since
-- Was anybody told, or may they have been, of a version of an outage or a later one?
SELECT EXISTS (SELECT FROM notices n JOIN notice_decisions d USING (decision_no)
               WHERE d.outage_id = %(outage_id)s AND d.version >= %(version)s
                 AND n.state IN ('sending', 'sent', 'delivered', 'undelivered', 'unknown'))

-- name: crews
-- Crews, and the outages each is busy with.
SELECT c.crew_id, c.name, c.district, c.active,
       array(SELECT o.id FROM outages o WHERE o.crew = c.crew_id AND o.ended_at IS NULL
             AND o.stage IN ('assigned', 'en_route', 'on_site', 'cause_found') ORDER BY o.id)
FROM crews c ORDER BY c.crew_id

-- name: put_crew
-- Keep a crew.
INSERT INTO crews (crew_id, name, district, active) VALUES (%s, %s, %s, %s)
ON CONFLICT (crew_id) DO UPDATE SET
    name = excluded.name, district = excluded.district, active = excluded.active

-- name: add_plan
-- A plan; where the engine's word of it came first, who entered it is filled in.
INSERT INTO plans AS p (plan_id, device_id, from_at, to_at, kind, districts, reason, entered_by,
                        entered_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (plan_id) DO UPDATE SET
    districts = CASE WHEN p.entered_by = '' THEN excluded.districts ELSE p.districts END,
    entered_by = CASE WHEN p.entered_by = '' THEN excluded.entered_by ELSE p.entered_by END
RETURNING plan_id, device_id, from_at, to_at, kind, districts, reason, entered_by, entered_at,
          cancelled_at

-- name: plans
-- Plans by their begin.
SELECT plan_id, device_id, from_at, to_at, kind, districts, reason, entered_by, entered_at,
       cancelled_at
FROM plans
WHERE %(open_at)s::timestamptz IS NULL OR (cancelled_at IS NULL AND to_at > %(open_at)s)
ORDER BY from_at, plan_id LIMIT %(limit)s

-- name: cancel_plan
-- Cancel a plan; the first cancellation counts.
UPDATE plans SET cancelled_at = coalesce(cancelled_at, %(at)s),
                 cancelled_by = coalesce(cancelled_by, %(by)s)
WHERE plan_id = %(plan_id)s
RETURNING plan_id, device_id, from_at, to_at, kind, districts, reason, entered_by, entered_at,
          cancelled_at

-- name: dark_now
-- Who has no power now, and by which outage.
SELECT p.customer_id, p.outage_id
FROM customer_power p JOIN outages o ON o.id = p.outage_id AND o.ended_at IS NULL
WHERE p.off_at IS NOT NULL AND p.on_at IS NULL

-- name: calls_now
-- Of each outage that has not ended, calls of its customers since an hour before it began.
SELECT o.id, count(*)
FROM outages o JOIN customer_power p ON p.outage_id = o.id JOIN calls c USING (customer_id)
WHERE o.ended_at IS NULL AND c.received_at >= o.started_at - interval '1 hour'
GROUP BY o.id

-- name: texts_now
-- Of each outage that has not ended, customers whose texts went to the gateway.
SELECT o.id, count(DISTINCT n.customer_id)
FROM outages o JOIN notices n ON n.outage_id = o.id
WHERE o.ended_at IS NULL AND n.state IN ('sending', 'sent', 'delivered', 'undelivered', 'unknown')
GROUP BY o.id

-- name: customers_by_phone
-- Customers with a number.
SELECT customer_id FROM customers WHERE phone_index = %s ORDER BY customer_id

-- name: add_audit
-- Who asked for what.
INSERT INTO audit (at, event, subject, address, detail) VALUES (%s, %s, %s, %s, %s)

-- name: audit_lines
-- The newest lines of the audit log.
SELECT at, event, subject, address, detail FROM audit ORDER BY audit_no DESC LIMIT %s

-- name: source_ages
-- When each kind of source was last heard, over all groups.
SELECT source, max(heard_at), sum(readings)::bigint, min(deaf_since) FROM sources
GROUP BY source ORDER BY source

-- name: quarantine_list
-- Payloads that could not be read, newest first.
SELECT quarantine_no, received_at, source, topic, reason, length, sha256,
       length = octet_length(body), replayed_at
FROM quarantine WHERE %(before)s::bigint IS NULL OR quarantine_no < %(before)s
ORDER BY quarantine_no DESC LIMIT %(limit)s

-- name: quarantine_show
-- One of them.
SELECT quarantine_no, received_at, source, topic, reason, length, sha256,
       length = octet_length(body), replayed_at, body
FROM quarantine WHERE quarantine_no = %s

-- name: quarantine_take
-- Whole ones, to be replayed.
WITH chosen AS (
    SELECT quarantine_no FROM quarantine
    WHERE length = octet_length(body)
      AND CASE WHEN %(numbers)s::bigint[] IS NULL THEN replayed_at IS NULL
               ELSE quarantine_no = ANY (%(numbers)s) END
    ORDER BY quarantine_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE quarantine q SET replayed_at = %(at)s FROM chosen c
    WHERE q.quarantine_no = c.quarantine_no
    RETURNING q.quarantine_no, received_at, source, topic, reason, length, sha256, true,
              replayed_at, body
)
SELECT * FROM marked ORDER BY quarantine_no

-- name: drop_readings
-- Forget whole days of readings.
SELECT drop_days('readings', %(before)s)

-- name: drop_events
-- Forget whole days of device events.
SELECT drop_days('device_events', %(before)s)

-- name: forget_frames
-- Frames before the last snapshot that is old enough.
DELETE FROM recorded_frames f USING (
    SELECT group_slug, max(position) AS position FROM snapshots
    WHERE until_at < %(before)s GROUP BY group_slug) AS s
WHERE f.group_slug = s.group_slug AND f.position <= s.position

-- name: forget_snapshots
-- Snapshots whose frames are gone but for the last, from which the rest is replayed.
DELETE FROM snapshots s USING (
    SELECT group_slug, max(position) AS position FROM snapshots
    WHERE until_at < %(before)s GROUP BY group_slug) AS kept
WHERE s.group_slug = kept.group_slug AND s.position < kept.position

-- name: thin_snapshots
-- Of older days only the first snapshot of each day.
DELETE FROM snapshots s USING (
    SELECT group_slug, position,
           row_number() OVER (PARTITION BY group_slug, date_trunc('day', until_at, 'UTC')
                              ORDER BY position) AS nth
    FROM snapshots WHERE until_at < %(before)s) AS older
WHERE (s.group_slug, s.position) = (older.group_slug, older.position) AND nth > 1
  AND s.position < (SELECT max(position) FROM snapshots n WHERE n.group_slug = s.group_slug)

-- name: thin_snapshots_hourly
-- Of older hours only the first snapshot of each hour.
DELETE FROM snapshots s USING (
    SELECT group_slug, position,
           row_number() OVER (PARTITION BY group_slug, date_trunc('hour', until_at, 'UTC')
                              ORDER BY position) AS nth
    FROM snapshots WHERE until_at < %(before)s) AS older
WHERE (s.group_slug, s.position) = (older.group_slug, older.position) AND nth > 1
  AND s.position < (SELECT max(position) FROM snapshots n WHERE n.group_slug = s.group_slug)

-- name: forget_quarantined
-- Payloads that nobody mended in time.
DELETE FROM quarantine WHERE received_at < %(before)s

-- name: forget_audit
-- Old lines of the audit log; the database refuses to drop young ones.
DELETE FROM audit WHERE at < %(before)s AND at < now() - interval '180 days'

-- name: keep_days
-- Where TimescaleDB drops what is old by itself, tell it when.
SELECT keep_days(%(relation)s, %(days)s)

-- name: keep_load
-- Add up the half hours that are over.
SELECT keep_load(%(now_at)s)

-- name: forget_load
-- Half hours of load that are old enough.
DELETE FROM load_kept WHERE half_hour < %(before)s

-- name: count_interruptions
-- Count the steps of outages that have ended, once, by where the customers are.
WITH fresh AS (
    INSERT INTO interruptions_counted (outage_id)
    SELECT id FROM outages o WHERE ended_at < %(now_at)s
      AND NOT EXISTS (SELECT FROM interruptions_counted c WHERE c.outage_id = o.id)
    ORDER BY ended_at LIMIT 10000
    ON CONFLICT DO NOTHING RETURNING outage_id)
INSERT INTO interruptions (off_at, on_at, outage_id, step_no, feeder_id, district, kind, momentary,
                           customers)
SELECT s.off_at, s.on_at, o.id, s.step_no, coalesce(d.feeder_id, ''), coalesce(d.district, ''),
       o.kind, o.state = 'momentary', count(*)
FROM fresh f
JOIN outages o ON o.id = f.outage_id AND o.state <> 'rejected'
JOIN outage_steps s ON s.outage_id = o.id AND s.on_at IS NOT NULL
CROSS JOIN unnest(s.customers) AS named (customer_id)
LEFT JOIN customers c ON c.customer_id = named.customer_id
LEFT JOIN network_devices d ON d.device_id = c.meter_id
GROUP BY s.off_at, s.on_at, o.id, s.step_no, d.feeder_id, d.district
