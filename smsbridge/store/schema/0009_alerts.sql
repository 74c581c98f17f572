-- What an admin has to know: a row for each condition while it lasts, and how many lines were said of each kind lately.

-- `words` as they are told. `told_at` is 0 until they were; `over_at` is set from its end until that was told.
CREATE TABLE alert (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    words TEXT NOT NULL,
    since BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    times INTEGER NOT NULL,
    told_at BIGINT NOT NULL,
    over_at BIGINT,
    PRIMARY KEY (kind, subject)
);
CREATE TABLE alert_kind (
    kind TEXT PRIMARY KEY,
    since BIGINT NOT NULL,
    lines INTEGER NOT NULL
);
