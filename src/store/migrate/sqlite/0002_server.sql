-- What the server needs: replies that are kept for requests with an idempotency key.

CREATE TABLE idempotency (
    key    TEXT    NOT NULL,                -- as the client gave it
    method TEXT    NOT NULL,
    digest TEXT    NOT NULL,                -- of the request: the same key with another is a conflict
    reply  TEXT    NOT NULL,                -- as JSON
    at     INTEGER NOT NULL,
    PRIMARY KEY (key, method)
);
CREATE INDEX idempotency_at ON idempotency (at);
