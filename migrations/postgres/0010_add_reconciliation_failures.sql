-- Since when no run of reconciliation succeeded.
alter table reconciliations
    add column failing_since timestamptz; -- null: the last runs succeeded, or there was none
