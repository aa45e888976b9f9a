-- What the last comparison of the integrator's whole list found: how many callbacks did
-- not arrive.
alter table reconciliations
    add column listed_at timestamptz, -- null: the list was never compared
    add column listed bigint not null default 0, -- messages that changed since the list before
    add column lost bigint not null default 0, -- reports recovered since the list before
    add column recovered_before bigint not null default 0; -- `recovered` at that time
