-- By which it is known whether a commit took place whose answer was lost (docs/store.md). A row per connection that
-- writes; each of its transactions puts its number there. No index: the row is found by its place (ctid), which costs
-- the same however many versions of it an old snapshot keeps.
CREATE TABLE receipt (
    holder BIGINT NOT NULL,                  -- drawn at random by who writes
    n      BIGINT NOT NULL,                  -- its newest transaction
    at     BIGINT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
