-- The house as it was built. Instants are epoch milliseconds; ids are UUIDv7 unless said otherwise, so that
-- their order is the order of commits. One dialect for SQLite and PostgreSQL.

-- A conversation is what a claim locks. No content, only the pair.
CREATE TABLE conversation (
    did TEXT NOT NULL,
    peer TEXT NOT NULL,
    touched_at BIGINT NOT NULL,
    PRIMARY KEY (did, peer)
);

-- Which line an owner's conversation with a peer is bound to, from its first text on.
CREATE TABLE binding (
    owner TEXT NOT NULL,
    peer TEXT NOT NULL,
    did TEXT NOT NULL,
    bound_at BIGINT NOT NULL,
    PRIMARY KEY (owner, peer)
);

-- Inbound messages. `text` is emptied by retention; the row stays for the trail.
CREATE TABLE inbox (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    did TEXT NOT NULL,
    peer TEXT NOT NULL,
    label TEXT NOT NULL,
    others TEXT NOT NULL,
    provider_id TEXT,
    text TEXT,
    text_hash TEXT NOT NULL,
    sent_at BIGINT,
    taken_at BIGINT NOT NULL
);
CREATE INDEX inbox_same ON inbox (did, peer, taken_at);

-- What was taken, for 180 days: longer than any carrier repeats itself.
CREATE TABLE inbox_key (
    key TEXT PRIMARY KEY,
    inbox_id TEXT NOT NULL,
    text_hash TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX inbox_key_age ON inbox_key (seen_at);
CREATE INDEX inbox_key_row ON inbox_key (inbox_id);

-- What a person wrote. `sender` is a full JID, `addressed` the JID exactly as written to.
CREATE TABLE message (
    id TEXT PRIMARY KEY,
    domain TEXT NOT NULL,
    owner TEXT NOT NULL,
    sender TEXT NOT NULL,
    addressed TEXT NOT NULL,
    stanza_id TEXT NOT NULL,
    did TEXT NOT NULL,
    receipts TEXT NOT NULL,
    wants_receipt INTEGER NOT NULL,
    told TEXT NOT NULL,
    accepted_at BIGINT NOT NULL
);
CREATE INDEX message_stanza ON message (owner, stanza_id);

-- What a carrier takes in one call. `attempt` fences late answers off; `tries` counts what the back-off counts.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL REFERENCES message (id),
    provider TEXT NOT NULL,
    did TEXT NOT NULL,
    peer TEXT NOT NULL,
    kind TEXT NOT NULL,
    n INTEGER NOT NULL,
    of_n INTEGER NOT NULL,
    text TEXT,
    media TEXT NOT NULL,
    state TEXT NOT NULL,
    hold TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    claimed_by TEXT NOT NULL,
    claimed_at BIGINT,
    lease_until BIGINT,
    fingerprint TEXT NOT NULL,
    provider_id TEXT,
    reason TEXT NOT NULL,
    code TEXT NOT NULL,
    words TEXT NOT NULL,
    queued_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (provider, state, due_at) WHERE state IN ('queued', 'held');
CREATE INDEX outbox_live ON outbox (did, peer, id) WHERE state IN ('queued', 'held', 'sending', 'unknown');
CREATE INDEX outbox_message ON outbox (message_id, n);
-- The backstop: never two attempts at once in one conversation, and each carrier id claimed once.
CREATE UNIQUE INDEX outbox_in_flight ON outbox (did, peer) WHERE state IN ('sending', 'unknown');
CREATE UNIQUE INDEX outbox_provider_id ON outbox (provider, kind, provider_id) WHERE provider_id IS NOT NULL;

-- Stanzas that a client repeated: the answer is the first one's, for 7 days.
CREATE TABLE outbox_key (
    key TEXT PRIMARY KEY,
    message_id TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX outbox_key_age ON outbox_key (seen_at);

-- One stanza to one JID.
CREATE TABLE delivery (
    id TEXT PRIMARY KEY,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    to_jid TEXT NOT NULL,
    sender TEXT NOT NULL,
    stanza_id TEXT NOT NULL,
    inbox_id TEXT,
    message_id TEXT,
    media_id TEXT,
    body TEXT NOT NULL,
    about TEXT NOT NULL,
    reason TEXT NOT NULL,
    label TEXT NOT NULL,
    media_url TEXT NOT NULL,
    stamp BIGINT,
    state TEXT NOT NULL,
    xml TEXT,
    attempt INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    handed_at BIGINT,
    proved_at BIGINT
);
CREATE INDEX delivery_waiting ON delivery (domain, id) WHERE state IN ('waiting', 'handing');
CREATE INDEX delivery_stanza ON delivery (stanza_id);
CREATE INDEX delivery_message ON delivery (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX delivery_inbox ON delivery (inbox_id) WHERE inbox_id IS NOT NULL;

-- Attachments of inbound messages.
CREATE TABLE media (
    id TEXT PRIMARY KEY,
    inbox_id TEXT NOT NULL REFERENCES inbox (id),
    n INTEGER NOT NULL,
    url TEXT NOT NULL,
    mime TEXT NOT NULL,
    size INTEGER,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    file TEXT NOT NULL,
    published_url TEXT NOT NULL,
    reason TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (inbox_id, url)
);
CREATE INDEX media_due ON media (state, due_at) WHERE state IN ('wanted', 'fetched');

-- One row per transition of anything above: the trail that `why` reads. No content.
CREATE TABLE history (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    provider_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    code TEXT NOT NULL
);
CREATE INDEX history_subject ON history (subject_id, id);

-- Faults that make an account or a line wait; `did` is '' for a whole account.
CREATE TABLE hold (
    provider TEXT NOT NULL,
    did TEXT NOT NULL,
    hold TEXT NOT NULL,
    reason TEXT NOT NULL,
    code TEXT NOT NULL,
    words TEXT NOT NULL,
    since BIGINT NOT NULL,
    probe_at BIGINT NOT NULL,
    probes INTEGER NOT NULL,
    PRIMARY KEY (provider, did)
);

-- Used of the caps, in fixed windows; changed by UPDATE … WHERE used < cap RETURNING.
CREATE TABLE cap_counter (
    scope TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (scope, window_start)
);

-- Who may speak as a component or call a provider; the epoch fences a late holder off.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    until BIGINT NOT NULL
);

-- Where a poll has got to.
CREATE TABLE cursor_at (
    name TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    moved_at BIGINT NOT NULL
);
