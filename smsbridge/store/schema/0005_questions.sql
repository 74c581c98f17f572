-- What the bridge asks an owner, by a number that is his own and never given twice.
CREATE TABLE question (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    words TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    answered_at BIGINT,
    answer TEXT NOT NULL,
    UNIQUE (owner, number)
);
CREATE UNIQUE INDEX question_subject ON question (kind, subject) WHERE answered_at IS NULL;
CREATE INDEX question_open ON question (owner, number) WHERE answered_at IS NULL;
