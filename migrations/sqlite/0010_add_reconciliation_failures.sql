-- Since when no run of reconciliation succeeded.
alter table reconciliations add column failing_since integer; -- null: the last runs succeeded
