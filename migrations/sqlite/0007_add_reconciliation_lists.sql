-- What the last comparison of the integrator's whole list found: how many callbacks did not arrive.
alter table reconciliations add column listed_at integer; -- null: the list was never compared
alter table reconciliations
    add column listed integer not null default 0; -- messages that changed since the list before
alter table reconciliations
    add column lost integer not null default 0; -- reports recovered since the list before
alter table reconciliations
    add column recovered_before integer not null default 0; -- `recovered` at that time
