-- Texts that were sent over our numbers, and not by us.

-- Which of a carrier's sent texts were judged: shown, or known to be ours. For as long as inbound keys.
CREATE TABLE elsewhere_key (
    key TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL
);
CREATE INDEX elsewhere_key_age ON elsewhere_key (seen_at);

-- What we tried to send to a peer around an instant.
CREATE INDEX outbox_claimed ON outbox (did, peer, claimed_at) WHERE claimed_at IS NOT NULL;
