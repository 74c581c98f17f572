-- The bytes of attachments that came inside a callback, in base64, until they are published or given up: committed with
-- their text, wherever the database is.
CREATE TABLE media_piece (
    media_id TEXT NOT NULL REFERENCES media (id),
    n INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (media_id, n)
);
