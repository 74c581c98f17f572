-- What waits costs nothing: whatever runs for each text or in each round finds by an index what it has to do.

-- A conversation's head is the part that may leave next; none while one is in flight. So a claim looks at what can be
-- sent, and not at all that waits behind it.
ALTER TABLE conversation ADD COLUMN head TEXT;
ALTER TABLE conversation ADD COLUMN provider TEXT;
ALTER TABLE conversation ADD COLUMN due_at BIGINT;
UPDATE conversation SET (head, provider, due_at) = (
    SELECT p.id, p.provider, p.due_at FROM outbox p
    WHERE p.id = (
        SELECT f.id FROM outbox f WHERE f.did = conversation.did AND f.peer = conversation.peer
        AND f.state IN ('queued', 'held', 'sending', 'unknown') AND f.state IN ('queued', 'held')
        ORDER BY f.id LIMIT 1
    )
    AND NOT EXISTS (
        SELECT 1 FROM outbox e WHERE e.did = p.did AND e.peer = p.peer AND e.state IN ('sending', 'unknown')
    )
);
CREATE INDEX conversation_due ON conversation (provider, due_at, head) WHERE head IS NOT NULL;
CREATE INDEX conversation_line ON conversation (provider, did, due_at, head) WHERE head IS NOT NULL;
DROP INDEX outbox_due;

-- Since when the parts of a line wait; those that met a fault themselves are few. With their state in it an index is
-- all that is read to count them.
CREATE INDEX outbox_queued ON outbox (provider, did, queued_at, state) WHERE state = 'queued';
CREATE INDEX outbox_held ON outbox (provider) WHERE state = 'held';
DROP INDEX delivery_waiting;
CREATE INDEX delivery_waiting ON delivery (domain, id, state) WHERE state = 'waiting';

-- Those whose writers are still to be told something: of what had left and waits for its report only, nothing is due.
UPDATE message SET told = 'left' WHERE told = '' AND NOT EXISTS (
    SELECT 1 FROM outbox p WHERE p.message_id = message.id AND p.state IN ('queued', 'held', 'sending', 'unknown')
);
CREATE INDEX message_untold ON message (accepted_at, id) WHERE told = '';
