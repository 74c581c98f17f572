-- Ticks that wait for a report, and who sees a number's presence.

-- Texts that left, whose writers are to hear that they arrived. They are few: after a day nobody waits any more.
CREATE INDEX message_left ON message (accepted_at, id) WHERE told = 'left';

-- Owners whose servers tell us when they are there, and of which number of ours they see the presence.
CREATE TABLE watcher (
    owner TEXT NOT NULL,
    number TEXT NOT NULL,
    PRIMARY KEY (owner, number)
);
