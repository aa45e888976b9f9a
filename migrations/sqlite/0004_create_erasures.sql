-- Who asked to be forgotten: that it was done, and not of whom. There are few.
--
-- Nothing is added to the tables that are erased: a recipient that is gone is the word of
-- domain's Address::erased, which programs of the release before read as an address. There
-- is no index on recipients either. It would be written, at a random place, with every new
-- message; an erasure is rare and looks at all of them instead.
create table erasures (
    id                       blob not null,
    asked_at                 integer not null,
    asked_through            text not null,
    reason                   text,
    masked                   text not null, -- domain's Addressee, as it is shown
    -- The address itself, for whoever goes on with it; null when it is finished.
    recipient                text,
    -- How far it has got: first through the log, then through the messages from the latest
    -- to the oldest. A message's place there only ever moves on to where it is yet to be
    -- looked at.
    log_after                integer, -- null when the log is done
    before_first_reported_at integer,
    before_channel_id        text,
    before_sid               blob,
    looked_at                integer not null default 0,
    messages                 integer not null default 0,
    reports                  integer not null default 0,
    deliveries               integer not null default 0,
    finished_at              integer,
    -- One row an erasure; ids are in the order of the list.
    constraint erasures_id_pkey primary key (id),
    -- What is finished must not know of whom it was.
    constraint erasures_recipient_check check ((recipient is null) = (finished_at is not null))
) strict;
