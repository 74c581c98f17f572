-- Every index whose order is not that of the texts costs each text a page of its own.

-- Only a callback that did not tell its kind has a twin to be looked for by its text.
DROP INDEX inbox_said;
CREATE INDEX inbox_untold ON inbox (did, peer, text_hash, taken_at) WHERE kind = '?';
-- What a list shows among texts of both kinds is known by the instant that it was sent at.
CREATE INDEX inbox_sent ON inbox (did, sent_at);
