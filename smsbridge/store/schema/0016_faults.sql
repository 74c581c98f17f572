-- What the XMPP server gives again was refused: reason, words and the right address, so that the answer is the same.
ALTER TABLE outbox_key ADD COLUMN refusal TEXT NOT NULL DEFAULT '';
