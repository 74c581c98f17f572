-- Files that go out with a text: what is wanted of them outlives a kill, and their bytes lie beside the database.

-- `due_at` is when one is looked at next, null when nobody waits for it; `file` is its id while its bytes are kept;
-- `done` is how it goes, `reason` why it goes otherwise, or not at all; `part_id` the part that it went into.
CREATE TABLE enclosure (
    id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    url TEXT NOT NULL,
    mime TEXT NOT NULL,
    size INTEGER,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due_at BIGINT,
    file TEXT NOT NULL,
    done TEXT NOT NULL,
    reason TEXT NOT NULL,
    part_id TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX enclosure_due ON enclosure (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX enclosure_kept ON enclosure (id) WHERE file <> '';
CREATE INDEX enclosure_message ON enclosure (message_id, n);
