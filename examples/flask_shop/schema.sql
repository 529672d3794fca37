CREATE TABLE IF NOT EXISTS customers (
    name     TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    member   TEXT NOT NULL UNIQUE,         -- the pseudonym; the ledger knows nothing else of this row
    enrolled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS orders (
    number      TEXT PRIMARY KEY,          -- also the reference on the ledger
    customer    TEXT NOT NULL REFERENCES customers,
    film        TEXT NOT NULL,
    tickets     INTEGER NOT NULL CHECK (tickets > 0),
    price       INTEGER NOT NULL,          -- cents a ticket
    state       TEXT NOT NULL DEFAULT 'open',
    occurred_at INTEGER NOT NULL,          -- milliseconds UTC: stored before the first send and never changed
    program     TEXT,                      -- whose points
    points      INTEGER NOT NULL DEFAULT 0,
    code        TEXT,                      -- the points code that was shown, if any
    expires     INTEGER,                   -- until when a booking stands
    earned      INTEGER                    -- NULL until the ledger said how many
);
CREATE TABLE IF NOT EXISTS returns (
    reference   TEXT PRIMARY KEY,
    number      TEXT NOT NULL REFERENCES orders,
    tickets     INTEGER NOT NULL CHECK (tickets > 0),
    points      INTEGER NOT NULL,          -- spent ones that go back to the member
    cents       INTEGER NOT NULL,          -- money that goes back; what it earned goes back to us
    occurred_at INTEGER NOT NULL,
    refunded    INTEGER NOT NULL DEFAULT 0,
    taken_back  INTEGER NOT NULL DEFAULT 0
);
