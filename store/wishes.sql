-- The statements of how people want to be told, and of staff.

-- name: wishes
-- How a customer wants to be told, and who they are to us; no row for a customer nobody knows.
SELECT c.language, c.priority, c.phone_sealed, c.name_sealed, c.address_sealed, w.language,
       w.channels, w.phases, to_char(w.quiet_from, 'HH24:MI'), to_char(w.quiet_to, 'HH24:MI'),
       w.time_zone, w.opted_out_at, w.changed_at, w.changed_by
FROM customers c LEFT JOIN customer_wishes w USING (customer_id) WHERE c.customer_id = %s

-- name: contacts
-- Where a customer is reached beside their telephone number.
SELECT channel, address_sealed FROM customer_contacts WHERE customer_id = %s ORDER BY channel

-- name: keep_wishes
-- How a customer wants to be told; all of it at once.
INSERT INTO customer_wishes (customer_id, language, channels, phases, quiet_from, quiet_to,
                             time_zone, changed_at, changed_by)
VALUES (%(customer_id)s, %(language)s, %(channels)s, %(phases)s, %(quiet_from)s, %(quiet_to)s,
        %(time_zone)s, %(at)s, %(by)s)
ON CONFLICT (customer_id) DO UPDATE SET
    language = excluded.language, channels = excluded.channels, phases = excluded.phases,
    quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to,
    time_zone = excluded.time_zone, changed_at = excluded.changed_at,
    changed_by = excluded.changed_by

-- name: forget_contacts
-- Where a customer is reached, before it is kept anew.
DELETE FROM customer_contacts WHERE customer_id = %s

-- name: keep_contact
-- Where a customer is reached on a channel.
INSERT INTO customer_contacts (customer_id, channel, address_sealed) VALUES (%s, %s, %s)

-- name: consent
-- A customer wants to be told no more, or again; what waits for who does not is taken back.
WITH said AS (
    INSERT INTO consents (customer_id, at, wanted, source, by, words_sealed)
    VALUES (%(customer_id)s, %(at)s, %(wanted)s, %(source)s, %(by)s, %(words)s)
), held AS (
    UPDATE notices SET state = 'held', reason = 'opted_out'
    WHERE customer_id = %(customer_id)s AND state = 'queued' AND channel <> 'desk'
      AND NOT %(wanted)s
)
INSERT INTO customer_wishes (customer_id, opted_out_at, changed_at, changed_by)
VALUES (%(customer_id)s, CASE WHEN %(wanted)s THEN NULL ELSE %(at)s::timestamptz END, %(at)s, %(by)s)
ON CONFLICT (customer_id) DO UPDATE SET
    opted_out_at = CASE WHEN %(wanted)s THEN NULL
                        ELSE coalesce(customer_wishes.opted_out_at, excluded.opted_out_at) END,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: consents
-- The proof of a customer's opt-outs and opt-ins, oldest first.
SELECT at, wanted, source, by, words_sealed FROM consents WHERE customer_id = %s
ORDER BY consent_no

-- name: staff
-- Staff, by id.
SELECT staff_id, duty, district, language, name_sealed, phone_sealed FROM staff ORDER BY staff_id

-- name: keep_staff
-- Somebody of staff, new or changed.
INSERT INTO staff (staff_id, duty, district, language, name_sealed, phone_sealed, phone_index)
VALUES (%(staff_id)s, %(duty)s, %(district)s, %(language)s, %(name)s, %(phone)s, %(index)s)
ON CONFLICT (staff_id) DO UPDATE SET
    duty = excluded.duty, district = excluded.district, language = excluded.language,
    name_sealed = excluded.name_sealed, phone_sealed = excluded.phone_sealed,
    phone_index = excluded.phone_index

-- name: remove_staff
-- Somebody of staff is told no more.
DELETE FROM staff WHERE staff_id = %s

-- name: words_of
-- What a customer was told and said, for an export: texts with their times.
SELECT n.phase, n.channel, n.state, n.sent_at, n.body FROM notices n
WHERE n.customer_id = %s ORDER BY n.decision_no, n.notice_no

-- name: calls_of
-- A customer's calls.
SELECT at, kind, entered_by, call_no, text_sealed FROM calls WHERE customer_id = %s ORDER BY call_no

-- name: power_of
-- When a customer was without power, as far as it is kept.
SELECT o.id, s.off_at, s.on_at FROM outage_steps s JOIN outages o ON o.id = s.outage_id
WHERE s.customers @> ARRAY[%s] ORDER BY s.off_at

-- name: erase_customer
-- What says who a customer is, and in their or our words what happened to them.
UPDATE customers SET name_sealed = NULL, phone_sealed = NULL, phone_index = NULL,
                     address_sealed = NULL
WHERE customer_id = %(customer_id)s

-- name: erase_texts
-- The words of their texts, and what waits for them.
UPDATE notices SET body = NULL,
                   state = CASE WHEN state = 'queued' THEN 'held' ELSE state END,
                   reason = CASE WHEN state = 'queued' THEN 'erased' ELSE reason END
WHERE customer_id = %(customer_id)s

-- name: erase_calls
-- The words of their calls.
UPDATE calls SET text_sealed = NULL WHERE customer_id = %(customer_id)s

-- name: erase_words
-- The words of their opt-outs; that they opted out stays.
UPDATE consents SET words_sealed = NULL WHERE customer_id = %(customer_id)s

-- name: erase_contacts
-- Where else they were reached.
DELETE FROM customer_contacts WHERE customer_id = %(customer_id)s

-- name: erase_seen
-- That they looked at their page.
DELETE FROM customer_seen WHERE customer_id = %(customer_id)s

-- name: sealed_contacts
-- Who customers are, in each version of the network.
SELECT version, contacts FROM network_graphs

-- name: seal_contacts
-- The same, sealed anew.
UPDATE network_graphs SET contacts = %s WHERE version = %s
