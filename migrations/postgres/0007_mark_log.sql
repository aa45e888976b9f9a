-- Where the log ended at what time, noted about once a minute while reports come: reports that
-- arrived at that time or later come behind it. The log has no index on times, and one would
-- be written with every report; these are found by theirs.
create table log_marks (
    at       timestamptz not null,
    position bigint not null,
    -- The last mark before a time, and those after it.
    constraint log_marks_at_pkey primary key (at)
);

-- The greatest mark: each new connection compares it with the ids that are to come.
create index log_marks_position_idx on log_marks (position);
