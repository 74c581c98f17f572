-- Whose number it was when an attachment came, as JIDs with a blank between: it may be another's once it is fetched.
ALTER TABLE media ADD COLUMN addressees TEXT NOT NULL DEFAULT '';
