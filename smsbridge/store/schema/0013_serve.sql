-- What our own door gives out, each to whoever has its link. The bytes are files under the same ids.

-- `token` is the hash of what stands in the link; after `ends_at` it is as if there had never been one.
CREATE TABLE served (
    id TEXT PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    mime TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);
CREATE INDEX served_ends ON served (ends_at);
