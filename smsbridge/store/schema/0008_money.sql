-- What may be sent: counters, the loop breaker, those who want no more texts, destinations that were confirmed.

-- Used of the caps: one row for each, of its newest window. Nothing was counted before this version. Money in millionths.
DROP TABLE cap_counter;
CREATE TABLE cap_counter (
    scope TEXT PRIMARY KEY,
    window_start BIGINT NOT NULL,
    used BIGINT NOT NULL
);

-- What was sent lately, as instants and marks that equal texts share, and until when the breaker is open.
ALTER TABLE conversation ADD COLUMN recent TEXT NOT NULL DEFAULT '';
ALTER TABLE conversation ADD COLUMN closed_until BIGINT NOT NULL DEFAULT 0;

-- The peer has asked for no more texts from this did, with this word.
CREATE TABLE opt_out (
    did TEXT NOT NULL,
    peer TEXT NOT NULL,
    word TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (did, peer)
);

-- Kinds of destination that an owner has texted knowingly.
CREATE TABLE confirmed (
    owner TEXT NOT NULL,
    destination TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (owner, destination)
);
