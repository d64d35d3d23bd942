-- The statements of notices: what is decided with a change, the outbox, and receipts.
-- Later is what was decided later: a row that was held is used again, and keeps its notice_no.

-- name: recipients
-- Some customers by what is known of them and what they were told, those alike together.  Each table
-- is gone through once: a look-up for each customer would be at the mercy of stale statistics.
WITH asked AS MATERIALIZED (
    SELECT customer_id FROM json_array_elements_text(%(customers)s::json) AS a (customer_id)
), past AS MATERIALIZED (
    SELECT n.customer_id, json_agg(json_build_array(
               n.phase, n.outage_id, n.edition, n.state = 'queued', d.facts->'etr',
               coalesce(extract(epoch FROM n.next_at) * 1000, 0)::bigint)
               ORDER BY n.decision_no, n.notice_no)::text AS past
    FROM notices n JOIN notice_decisions d USING (decision_no)
    WHERE n.customer_id IN (SELECT customer_id FROM asked) AND n.due_at > %(since)s
      AND n.state IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'unknown')
    GROUP BY n.customer_id
), reached AS MATERIALIZED (
    SELECT customer_id, json_agg(channel ORDER BY channel) AS channels
    FROM customer_contacts JOIN asked USING (customer_id) GROUP BY customer_id
)
SELECT coalesce(w.language, c.language), c.priority, c.phone_index IS NOT NULL, s.outage_id,
       s.phase, s.etr::text, past.past,
       CASE WHEN w.customer_id IS NOT NULL OR reached.customer_id IS NOT NULL THEN json_build_array(
           w.channels, w.phases, CASE WHEN w.quiet_from IS NOT NULL THEN json_build_array(
               to_char(w.quiet_from, 'HH24:MI'), to_char(w.quiet_to, 'HH24:MI')) END,
           w.time_zone, w.opted_out_at IS NOT NULL, coalesce(reached.channels, '[]'))::text END,
       array_agg(customer_id)
FROM asked JOIN customers c USING (customer_id)
LEFT JOIN notice_seen s USING (customer_id)
LEFT JOIN past USING (customer_id)
LEFT JOIN customer_wishes w USING (customer_id)
LEFT JOIN reached USING (customer_id)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8

-- name: staff_of
-- Staff of some districts, and what they were told.
SELECT s.staff_id, s.district, s.language, s.phone_index IS NOT NULL,
       (SELECT json_agg(json_build_array(n.phase, n.outage_id, n.edition, n.state = 'queued',
                                         d.facts->'etr', 0) ORDER BY n.decision_no, n.notice_no)::text
        FROM notices n JOIN notice_decisions d USING (decision_no)
        WHERE n.customer_id = 'staff:' || s.staff_id AND n.due_at > %(since)s
          AND n.state IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'unknown'))
FROM staff s WHERE s.district = ANY (%(districts)s) ORDER BY s.staff_id

-- name: hold_notices
-- What waits for some customers stays where it is until this is committed, for the sender skips it:
-- else it could be taken while others decide what takes its place, and both be sent.
SELECT FROM notices WHERE state = 'queued' AND customer_id IN (
    SELECT customer_id FROM json_array_elements_text(%s::json) AS a (customer_id))
ORDER BY notice_no FOR UPDATE

-- name: notice_numbers
-- Numbers for decisions that are about to be kept.
SELECT nextval(pg_get_serial_sequence('notice_decisions', 'decision_no'))
FROM generate_series(1, %s)

-- name: keep_notice_decisions
-- Why somebody is told, or is not.
INSERT INTO notice_decisions (decision_no, at, outage_id, version, phase, send, reason, facts, customers)
SELECT * FROM json_to_recordset(%s::json)
    AS r (decision_no bigint, at timestamptz, outage_id text, version integer, phase text,
          send boolean, reason text, facts json, customers text[])

-- name: withdraw_notices
-- What waits for some customers has been overtaken: all of it, or what is of one outage.
UPDATE notices n SET state = 'held', reason = 'superseded'
FROM json_to_recordset(%s::json) AS r (customers text[], outage_id text), unnest(r.customers) AS c
WHERE n.state = 'queued' AND n.customer_id = c AND (r.outage_id IS NULL OR n.outage_id = r.outage_id)

-- name: queue_notices
-- What some customers are told; one that waits already is told anew, one that was told never.
INSERT INTO notices (outage_id, customer_id, phase, edition, channel, decision_no, state, reason,
                     lane, due_at, expires_at)
SELECT outage_id, customer_id, phase, edition, channel, decision_no, 'queued', reason, lane, due_at,
       expires_at
FROM json_to_recordset(%s::json)
    AS r (outage_id text, phase text, edition integer, channel text, decision_no bigint,
          reason text, lane smallint, due_at timestamptz, expires_at timestamptz, customers text[]),
    unnest(r.customers) AS customer_id
ORDER BY customer_id
ON CONFLICT (outage_id, customer_id, phase, edition, channel) DO UPDATE SET
    decision_no = excluded.decision_no, state = 'queued', reason = excluded.reason,
    lane = excluded.lane, due_at = excluded.due_at, expires_at = excluded.expires_at
WHERE notices.state IN ('queued', 'held', 'expired')

-- name: see_notices
-- What was decided for some customers last.
INSERT INTO notice_seen (customer_id, outage_id, phase, etr, at)
SELECT customer_id, outage_id, phase, etr, at FROM json_to_recordset(%s::json)
    AS r (customers text[], outage_id text, phase text, etr json, at timestamptz),
    unnest(r.customers) AS customer_id
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET
    outage_id = excluded.outage_id, phase = excluded.phase, etr = excluded.etr, at = excluded.at

-- name: wake_outbox
-- Tell whoever sends that something waits, once this is committed.
NOTIFY lastgasp_outbox

-- name: listen_outbox
-- Be told when something waits.
LISTEN lastgasp_outbox

-- name: claim_notices
-- Take what is due, the most urgent first: from the commit on it may have reached the gateway.
WITH due AS MATERIALIZED (
    SELECT notice_no FROM notices
    WHERE state = 'queued' AND channel = %(channel)s AND due_at <= %(now)s AND expires_at > %(now)s
    ORDER BY lane, due_at, notice_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE notices n SET state = 'sending', attempts = n.attempts + 1, claimed_at = %(now)s,
                     reason = d.reason
FROM due JOIN notices q USING (notice_no)
JOIN notice_decisions d USING (decision_no)
LEFT JOIN customers c USING (customer_id)
LEFT JOIN customer_wishes w USING (customer_id)
LEFT JOIN customer_contacts k ON (k.customer_id, k.channel) = (q.customer_id, q.channel)
LEFT JOIN staff s ON 'staff:' || s.staff_id = q.customer_id
WHERE n.notice_no = due.notice_no
RETURNING n.notice_no, n.outage_id, n.customer_id, n.phase, n.edition, n.lane, n.attempts,
          d.facts::text, coalesce(w.language, c.language, s.language, ''), coalesce(c.priority, ''),
          coalesce(c.phone_sealed, s.phone_sealed), k.address_sealed, c.address_sealed

-- name: expire_notices
-- What nobody could send in time is not sent at all.
UPDATE notices SET state = 'expired', reason = 'too_late', ended_at = %(now)s
WHERE notice_no IN (SELECT notice_no FROM notices WHERE state = 'queued' AND expires_at <= %(now)s
                    ORDER BY notice_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED)

-- name: one_by_one
-- What became of texts is written by one at a time: they touch the same rows in any order.
SELECT pg_advisory_xact_lock(1818325367)

-- name: notice_worded
-- The words that are about to be handed over, for a gateway that is asked by them.
UPDATE notices SET body = %(body)s
WHERE notice_no = %(notice_no)s AND state = 'sending' AND attempts = %(attempts)s

-- name: notices_sent
-- The gateway has them.
WITH sent AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s::json)
        AS r (notice_no bigint, at timestamptz, body text, bare boolean, next_at timestamptz,
              message_ids text[])
), kept AS (
    INSERT INTO notice_parts (message_id, notice_no, part)
    SELECT message_id, notice_no, part
    FROM sent, unnest(message_ids) WITH ORDINALITY AS p (message_id, part)
    ON CONFLICT DO NOTHING
)
UPDATE notices n SET
    state = CASE WHEN n.state IN ('sending', 'unknown') THEN 'sent' ELSE n.state END,
    sent_at = coalesce(n.sent_at, sent.at), body = sent.body, bare = sent.bare,
    next_at = sent.next_at, parts = cardinality(sent.message_ids)
FROM sent WHERE n.notice_no = sent.notice_no
  AND n.state IN ('sending', 'unknown', 'delivered', 'undelivered')

-- name: notices_back
-- The gateway has them not, for certain: again later, or never.
UPDATE notices n SET state = r.state, reason = r.reason,
                     due_at = coalesce(r.due_at, n.due_at),
                     ended_at = CASE WHEN r.state = 'queued' THEN NULL ELSE r.at END
FROM json_to_recordset(%s::json)
    AS r (notice_no bigint, state text, reason text, due_at timestamptz, at timestamptz)
WHERE n.notice_no = r.notice_no AND n.state = 'sending'

-- name: notices_unknown
-- Nobody knows whether the gateway has them.
UPDATE notices n SET state = 'unknown', reason = r.reason, body = coalesce(r.body, n.body)
FROM json_to_recordset(%s::json) AS r (notice_no bigint, reason text, body text)
WHERE n.notice_no = r.notice_no AND n.state = 'sending'

-- name: notices_left
-- Whoever was sending these has died.
UPDATE notices SET state = 'unknown', reason = 'sender_died'
WHERE state = 'sending' AND channel = %(channel)s AND claimed_at < %(before)s

-- name: resend_unknown
-- Those that may be sent again although nobody knows: the gateway owes a receipt for whatever it
-- took, and gave none; or a life may hang on it.  What has been overtaken stays as it is: by a later
-- text, or by power that is back.
UPDATE notices n SET state = 'queued', reason = 'no_receipt', due_at = %(now)s
WHERE n.state = 'unknown' AND n.channel = %(channel)s AND n.expires_at > %(now)s
  AND (n.claimed_at < %(owed)s OR (n.lane = 0 AND n.claimed_at < %(safety)s))
  AND NOT EXISTS (SELECT FROM notices m
                  WHERE m.customer_id = n.customer_id AND m.channel = n.channel
                    AND (m.decision_no, m.notice_no) > (n.decision_no, n.notice_no)
                    AND m.state NOT IN ('held', 'expired', 'refused'))
  AND NOT EXISTS (SELECT FROM notice_seen s
                  WHERE s.customer_id = n.customer_id AND s.outage_id = n.outage_id
                    AND s.phase IN ('restored', 'cancelled', 'to_verify')
                    AND s.phase <> n.phase)

-- name: apply_receipts
-- What became of segments that we know.  The first final word counts; others are told apart.
WITH told AS MATERIALIZED (
    SELECT DISTINCT ON (message_id) message_id, stat, at FROM json_to_recordset(%s::json)
        AS r (message_id text, stat text, final boolean, at timestamptz)
    ORDER BY message_id, final DESC, at
)
UPDATE notice_parts p SET stat = told.stat, stat_at = told.at FROM told
WHERE p.message_id = told.message_id
  AND (p.stat IS NULL OR p.stat IN ('ENROUTE', 'ACCEPTD', 'BUFFERD', 'UNKNOWN'))
RETURNING p.notice_no

-- name: known_messages
-- Which of the gateway's ids are ours.
SELECT message_id FROM notice_parts WHERE message_id = ANY (%s)

-- name: adopt_receipt
-- A receipt whose id we do not know is that of a notice of unknown fate to the same number: the one
-- whose reference it gives, or the only one there is.
WITH could AS (
    SELECT n.notice_no, n.state
    FROM (SELECT customer_id FROM customers WHERE phone_index = %(phone)s
          UNION ALL SELECT 'staff:' || staff_id FROM staff WHERE phone_index = %(phone)s) c
    JOIN notices n USING (customer_id)
    WHERE n.channel = 'sms' AND n.state IN ('unknown', 'sending')
      AND NOT EXISTS (SELECT FROM notice_parts p WHERE p.notice_no = n.notice_no)
), the_one AS (
    SELECT notice_no FROM could
    WHERE CASE WHEN %(reference)s::integer IS NOT NULL THEN notice_no & 65535 = %(reference)s::integer
               ELSE state = 'unknown' AND (SELECT count(*) FROM could) = 1 END
)
INSERT INTO notice_parts (message_id, notice_no, part)
SELECT %(message_id)s, notice_no, 1 FROM the_one WHERE (SELECT count(*) FROM the_one) = 1
ON CONFLICT DO NOTHING RETURNING notice_no

-- name: keep_receipt
-- A receipt that came before we know what it is of.
INSERT INTO notice_receipts (received_at, message_id, stat) VALUES (%s, %s, %s)

-- name: take_receipts
-- Receipts that were kept for what is known now.
DELETE FROM notice_receipts r USING notice_parts p
WHERE r.message_id = p.message_id AND p.notice_no = ANY (%s)
RETURNING r.message_id, r.stat, r.received_at

-- name: settle_notices
-- What the receipts of its segments say of a notice.
UPDATE notices n SET
    state = CASE WHEN p.failed > 0 THEN 'undelivered' WHEN p.arrived >= coalesce(n.parts, 1)
                 THEN 'delivered' ELSE 'sent' END,
    reason = coalesce(p.worst, n.reason),
    sent_at = coalesce(n.sent_at, n.claimed_at),
    ended_at = CASE WHEN p.failed > 0 OR p.arrived >= coalesce(n.parts, 1) THEN p.at END
FROM (SELECT notice_no, max(stat_at) AS at,
             count(*) FILTER (WHERE stat = 'DELIVRD') AS arrived,
             count(*) FILTER (WHERE stat IN ('UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD')) AS failed,
             min(lower(stat)) FILTER (WHERE stat IN ('UNDELIV', 'EXPIRED', 'DELETED', 'REJECTD'))
                 AS worst
      FROM notice_parts WHERE notice_no = ANY (%s) GROUP BY notice_no) p
WHERE n.notice_no = p.notice_no AND n.state IN ('sending', 'sent', 'unknown', 'delivered')

-- name: silent
-- Texts of which the gateway never said what became of them: segments that it took, and texts of
-- which nobody knows whether it did (without a name).  These first, and each kind by chance: phones
-- that are off for days would keep others from being asked for.
SELECT n.notice_no, n.claimed_at, coalesce(p.message_id, ''), coalesce(n.body, ''), n.state,
       n.customer_id, coalesce(c.phone_sealed, s.phone_sealed)
FROM notices n LEFT JOIN notice_parts p USING (notice_no)
LEFT JOIN customers c USING (customer_id)
LEFT JOIN staff s ON 'staff:' || s.staff_id = n.customer_id
WHERE n.channel = %(channel)s AND n.claimed_at < %(before)s AND n.claimed_at > %(since)s
  AND (n.state = 'sent' AND p.stat IS NULL AND p.message_id IS NOT NULL
       OR n.state = 'unknown' AND p.message_id IS NULL)
ORDER BY n.state = 'sent', random() LIMIT %(limit)s

-- name: notices_absent
-- The gateway says that it never had these: they may go again.
UPDATE notices SET state = 'queued', reason = 'not_taken', due_at = %(now)s
WHERE notice_no = ANY (%(notices)s) AND state = 'unknown' AND expires_at > %(now)s
  AND NOT EXISTS (SELECT FROM notice_parts p WHERE p.notice_no = notices.notice_no)

-- name: unreached
-- What did not arrive on its channel: its end says so, or nothing said that it did within the time.
-- Left out is who was told something since, and who has seen it on their page.
SELECT n.notice_no, n.customer_id, n.phase, n.channel
FROM notices n JOIN notice_decisions d USING (decision_no)
JOIN customers c USING (customer_id)
WHERE n.fell_back_at IS NULL AND n.channel <> 'desk' AND n.expires_at > %(now)s
  AND n.claimed_at < CASE WHEN n.state IN ('undelivered', 'refused') THEN %(now)s
                          WHEN c.priority IN ('key', 'vulnerable') THEN %(safety)s
                          ELSE %(before)s END
  AND (n.state IN ('unknown', 'undelivered', 'refused')
       OR n.state = 'sent' AND n.channel = ANY (%(receipted)s))
  AND NOT EXISTS (SELECT FROM notices m
                  WHERE m.customer_id = n.customer_id
                    AND (m.decision_no, m.notice_no) > (n.decision_no, n.notice_no)
                    AND m.state NOT IN ('held', 'expired', 'refused'))
  AND NOT EXISTS (SELECT FROM customer_seen v JOIN feed_log f
                      ON f.channel = 'customer:' || n.customer_id AND f."offset" <= v."offset"
                  WHERE v.customer_id = n.customer_id AND f.at >= d.at)
ORDER BY n.claimed_at LIMIT %(limit)s FOR UPDATE OF n SKIP LOCKED

-- name: fall_back
-- Some notices did not arrive: what was found for them is queued on another channel.
WITH missed AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(missed)s::json) AS r (notice_no bigint, channel text)
), marked AS (
    UPDATE notices n SET fell_back_at = %(now)s FROM missed WHERE n.notice_no = missed.notice_no
)
INSERT INTO notices (outage_id, customer_id, phase, edition, channel, decision_no, state, reason,
                     lane, due_at, expires_at)
SELECT n.outage_id, n.customer_id, n.phase, n.edition, missed.channel, n.decision_no, 'queued',
       'fell_back', n.lane, %(now)s, n.expires_at
FROM missed JOIN notices n USING (notice_no) WHERE missed.channel IS NOT NULL
ON CONFLICT DO NOTHING

-- name: desk_tasks
-- Whom the desk is to call, the most urgent first; open ones, or all.
SELECT n.notice_no, n.outage_id, n.customer_id, n.phase, n.state, n.reason, n.lane, d.at, n.due_at,
       n.expires_at, n.ended_at, n.ended_by, n.body, d.facts::text,
       coalesce(w.language, c.language, ''), coalesce(c.priority, ''), c.phone_sealed,
       c.address_sealed
FROM notices n JOIN notice_decisions d USING (decision_no)
LEFT JOIN customers c USING (customer_id) LEFT JOIN customer_wishes w USING (customer_id)
WHERE n.channel = 'desk' AND (n.state = 'queued' AND n.due_at <= %(now)s OR NOT %(open_only)s)
  AND (%(notice_no)s::bigint IS NULL OR n.notice_no = %(notice_no)s)
ORDER BY n.state <> 'queued', n.due_at, n.notice_no LIMIT %(limit)s

-- name: close_desk_task
-- Somebody of the desk called, or need not.
UPDATE notices SET state = %(state)s, reason = %(reason)s, ended_at = %(now)s, ended_by = %(by)s,
                   claimed_at = %(now)s, sent_at = %(now)s, body = %(body)s,
                   attempts = attempts + 1
WHERE notice_no = %(notice_no)s AND channel = 'desk' AND state = 'queued' RETURNING notice_no

-- name: see_page
-- How far a customer has seen their page.
INSERT INTO customer_seen (customer_id, "offset", at)
SELECT customer_id, "offset", at FROM json_to_recordset(%s::json)
    AS r (customer_id text, "offset" bigint, at timestamptz)
ON CONFLICT (customer_id) DO UPDATE SET "offset" = excluded."offset", at = excluded.at
WHERE customer_seen."offset" < excluded."offset"

-- name: promised
-- Who was promised a word by a moment, had none since, and is in the dark still; by outage and since
-- when.
SELECT convert_to(c.outage::text, 'UTF8'), p.off_at, array_agg(n.customer_id)
FROM notices n
JOIN customer_power p ON p.customer_id = n.customer_id AND p.off_at IS NOT NULL AND p.on_at IS NULL
JOIN outages o ON o.id = p.outage_id AND o.ended_at IS NULL
JOIN changes c ON (c.outage_id, c.version) = (o.id, o.version)
WHERE n.next_at <= %(by)s AND n.next_at > %(since)s AND n.state IN ('sent', 'delivered')
  AND NOT EXISTS (SELECT FROM notices m
                  WHERE m.customer_id = n.customer_id
                    AND (m.decision_no, m.notice_no) > (n.decision_no, n.notice_no)
                    AND m.state NOT IN ('held', 'expired', 'refused'))
GROUP BY o.id, o.version, c.outage::text, p.off_at

-- name: outbox_figures
-- How much waits and since when, by lane and state.
SELECT state, lane, count(*), min(due_at) FILTER (WHERE due_at <= %(now)s) FROM notices
WHERE state IN ('queued', 'sending', 'unknown') GROUP BY state, lane

-- name: notices_told
-- What customers were told of an outage, or one customer of any, newest first.
SELECT n.notice_no, n.outage_id, n.customer_id, n.phase, n.edition, n.channel, n.state, n.reason,
       d.reason, n.lane, d.at, n.due_at, n.sent_at, n.ended_at, n.body,
       CASE WHEN n.channel = 'sms' THEN coalesce(c.phone_sealed, s.phone_sealed)
            ELSE k.address_sealed END
FROM notices n JOIN notice_decisions d USING (decision_no)
LEFT JOIN customers c USING (customer_id)
LEFT JOIN staff s ON 'staff:' || s.staff_id = n.customer_id
LEFT JOIN customer_contacts k ON (k.customer_id, k.channel) = (n.customer_id, n.channel)
WHERE (%(outage_id)s::text IS NULL OR n.outage_id = %(outage_id)s)
  AND (%(customer_id)s::text IS NULL OR n.customer_id = %(customer_id)s)
ORDER BY n.decision_no DESC, n.notice_no DESC LIMIT %(limit)s

-- name: decisions_for_outage
-- What was decided for an outage's customers, in order.
SELECT at, outage_id, version, phase, send, reason, cardinality(customers)
FROM notice_decisions WHERE outage_id = %(outage_id)s ORDER BY decision_no LIMIT %(limit)s

-- name: decisions_for_customer
-- What was decided for a customer, in order.
SELECT at, outage_id, version, phase, send, reason, cardinality(customers)
FROM notice_decisions WHERE at > %(since)s AND customers @> ARRAY[%(customer_id)s]
ORDER BY decision_no LIMIT %(limit)s

-- name: last_told_by_phone
-- Customers with a number who were told something lately, the last first.
SELECT c.customer_id FROM customers c
JOIN LATERAL (SELECT max(claimed_at) AS at, max(decision_no) AS decision_no FROM notices n
              WHERE n.customer_id = c.customer_id AND n.claimed_at > %(since)s) n
    ON n.at IS NOT NULL
WHERE c.phone_index = %(phone)s ORDER BY n.at DESC, n.decision_no DESC

-- name: forget_notices
-- Notices that are over.
DELETE FROM notices WHERE due_at < %(before)s
  AND state IN ('held', 'delivered', 'undelivered', 'refused', 'expired', 'sent', 'unknown')

-- name: forget_notice_decisions
-- Decisions that no notice tells of any more.
DELETE FROM notice_decisions d WHERE at < %(before)s
  AND NOT EXISTS (SELECT FROM notices n WHERE n.decision_no = d.decision_no)

-- name: forget_notice_parts
-- What the gateway called segments of notices that are gone.
DELETE FROM notice_parts p
WHERE stat_at < %(before)s AND NOT EXISTS (SELECT FROM notices n WHERE n.notice_no = p.notice_no)

-- name: forget_receipts
-- Receipts of nothing that we know.
DELETE FROM notice_receipts WHERE received_at < %(before)s

-- name: receipted
-- Which of some notices a receipt has spoken of.
SELECT DISTINCT notice_no FROM notice_parts WHERE notice_no = ANY (%s) AND stat IS NOT NULL
