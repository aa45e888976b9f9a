-- When the three days of tries have begun; null: at `created_at`, as for all that is delivered
-- at first. A program of the release before leaves it as it is: what it has retried may be
-- given up early.
alter table deliveries
    add column retrying_since timestamptz,
    -- Until when the target asked to be left alone, at the last try.
    add column rests_until timestamptz;
