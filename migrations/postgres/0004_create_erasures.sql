-- Who asked to be forgotten: that it was done, and not of whom. There are few.
--
-- Nothing is added to the tables that are erased: a recipient that is gone is the word of
-- domain's Address::erased, which programs of the release before read as an address. There
-- is no index on recipients either. It would be written, at a random place, with every new
-- message; an erasure is rare and looks at all of them instead.
create table erasures (
    id                       uuid not null,
    asked_at                 timestamptz not null,
    asked_through            text not null,
    reason                   text,
    masked                   text not null, -- domain's Addressee, as it is shown
    -- The address itself, for whoever goes on with it; null when it is finished.
    recipient                text,
    -- How far it has got: first through the log, then through the messages from the latest
    -- to the oldest. A message's place there only ever moves on to where it is yet to be
    -- looked at.
    log_after                bigint, -- null when the log is done
    before_first_reported_at timestamptz,
    before_channel_id        text collate "C",
    before_sid               bytea,
    looked_at                bigint not null default 0,
    messages                 bigint not null default 0,
    reports                  bigint not null default 0,
    deliveries               bigint not null default 0,
    finished_at              timestamptz,
    -- One row an erasure, whose lock orders the steps; ids are in the order of the list.
    constraint erasures_id_pkey primary key (id),
    -- What is finished must not know of whom it was.
    constraint erasures_recipient_check check ((recipient is null) = (finished_at is not null))
);

-- What tells who a recipient is, whatever the scheme: its name without the separators of a
-- number (`SEPARATORS` in domain/src/address.rs; U+00A0 is the no-break space).
create function recipient_key(recipient text) returns text
    language sql immutable parallel safe
    return translate(substr(recipient, strpos(recipient, ':') + 1), U&' +-()./\00A0', '');

-- The canonical form of a recipient that is neither a number nor a user id: the scheme in lower
-- case, and no blanks around its parts.
create function canonical_recipient(recipient text) returns text
    language sql immutable parallel safe
    return case
        when strpos(recipient, ':') = 0 then btrim(recipient, U&' \00A0')
        else lower(btrim(split_part(recipient, ':', 1), U&' \00A0') collate "C") || ':'
            || btrim(substr(recipient, strpos(recipient, ':') + 1), U&' \00A0')
    end;
