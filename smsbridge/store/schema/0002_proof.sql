-- Proof of what was handed, and what a million rows must not slow down.

-- What was handed and may still be lost if the XMPP server dies now. All from before this version is long settled.
UPDATE delivery SET proved_at = handed_at WHERE state = 'handed';
CREATE INDEX delivery_unproved ON delivery (domain, handed_at) WHERE state = 'handed' AND proved_at IS NULL;

-- What was written and not proved goes back to `waiting` when its stream dies, so a claim looks at nothing else.
DROP INDEX delivery_waiting;
CREATE INDEX delivery_waiting ON delivery (domain, id) WHERE state = 'waiting';
CREATE INDEX delivery_handing ON delivery (domain, id) WHERE state = 'handing';

-- The same text through the other door is found by the text; a busy conversation has many others.
DROP INDEX inbox_same;
CREATE INDEX inbox_said ON inbox (did, peer, text_hash, taken_at);
