-- What an attachment is known by when its address is forgotten: a carrier that repeats itself brings it again.
ALTER TABLE media ADD COLUMN url_hash TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX media_known ON media (inbox_id, url_hash) WHERE url_hash <> '';

-- What is billed of a part; its text is forgotten sooner. NULL where nobody counted.
ALTER TABLE outbox ADD COLUMN segments INTEGER;
