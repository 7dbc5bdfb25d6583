CREATE TABLE IF NOT EXISTS orders (
    id INTEGER NOT NULL,
    day TEXT NOT NULL,
    country TEXT NOT NULL,
    amount REAL NOT NULL,
    is_refund INTEGER NOT NULL,
    PRIMARY KEY (day, id)
);
CREATE TABLE IF NOT EXISTS events (
    received_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS daily_summary (
    day TEXT NOT NULL,
    country TEXT NOT NULL,
    orders INTEGER NOT NULL,
    revenue REAL NOT NULL,
    refund_rate REAL NOT NULL,
    PRIMARY KEY (day, country)
);
