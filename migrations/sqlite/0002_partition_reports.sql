-- What the log of reports needs for its readers and for retention. There are no partitions
-- here, and the ids are in the order of commits already: there is one writer.

-- Reports from a time on; which reports are too old.
create index reports_arrived_at_idx on reports (arrived_at);

create table report_log (
    only_row       integer not null default 1,
    -- The greatest id of a report that retention has removed; readers below it are told.
    pruned_through integer not null default 0,
    constraint report_log_only_row_pkey primary key (only_row),
    constraint report_log_only_row_check check (only_row = 1)
) strict;

insert into report_log (pruned_through) values (0);

-- How far each reader of the log has got.
create table log_cursors (
    name     text not null,
    position integer not null,
    -- One cursor a name, which its reader finds and moves.
    constraint log_cursors_name_pkey primary key (name)
) strict;
