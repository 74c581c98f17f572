-- What an owner calls a number himself; nobody else sees it.
CREATE TABLE name (
    owner TEXT NOT NULL,
    peer TEXT NOT NULL,
    name TEXT NOT NULL,
    named_at BIGINT NOT NULL,
    PRIMARY KEY (owner, peer)
);

-- What an owner's contact list was told last of a contact (a localpart), so that it is told again only if it changes,
-- and that what he has changed there himself is known. `photo` is the picture's SHA-1.
CREATE TABLE introduced (
    owner TEXT NOT NULL,
    contact TEXT NOT NULL,
    name TEXT NOT NULL,
    photo TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    PRIMARY KEY (owner, contact)
);
