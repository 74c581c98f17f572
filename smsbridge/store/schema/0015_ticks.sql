-- Ticks that wait for a report, and who sees a number's presence.

-- Texts that left, whose writers are to hear that they arrived. They are few: after a day nobody waits any more.
CREATE INDEX message_left ON message (accepted_at, id) WHERE told = 'left';
