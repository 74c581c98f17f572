-- Tries of unknown outcome, and how far looking for them has come: it goes on after a kill.

-- One row for each try. `verdict` is what became of it; `look_at` is set in one row of a part at most, and null when
-- nobody looks any more.
CREATE TABLE doubt (
    part_id TEXT NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    provider TEXT NOT NULL,
    kind TEXT NOT NULL,
    did TEXT NOT NULL,
    peer TEXT NOT NULL,
    tried_at BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    verdict TEXT NOT NULL,
    provider_id TEXT,
    opened_at BIGINT NOT NULL,
    looks INTEGER NOT NULL,
    absent_at BIGINT,
    look_at BIGINT,
    PRIMARY KEY (part_id, attempt)
);
CREATE INDEX doubt_open ON doubt (provider, opened_at) WHERE verdict = 'open';
CREATE INDEX doubt_due ON doubt (provider, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX doubt_conversation ON doubt (did, peer) WHERE look_at IS NOT NULL;
CREATE UNIQUE INDEX doubt_provider_id ON doubt (provider, kind, provider_id) WHERE provider_id IS NOT NULL;
INSERT INTO doubt (part_id, attempt, provider, kind, did, peer, tried_at, fingerprint, verdict, opened_at, looks, look_at)
    SELECT id, attempt, provider, kind, did, peer, COALESCE(claimed_at, changed_at), fingerprint, 'open', changed_at, 0,
    changed_at FROM outbox WHERE state IN ('sending', 'unknown') AND state = 'unknown';

-- Carriers whose lists lacked a text that they had certainly taken: what such a list lacks proves nothing.
CREATE TABLE distrust (
    provider TEXT PRIMARY KEY,
    since BIGINT NOT NULL,
    look_at BIGINT NOT NULL
);
