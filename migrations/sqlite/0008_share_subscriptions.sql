-- Who pushes events, and until when that is believed of them.
create table workers (
    name        text not null,
    alive_until integer not null,
    -- One row a worker, which it writes anew now and then.
    constraint workers_name_pkey primary key (name)
) strict;

-- How many subscriptions each worker has at most, so that all have some.
create view worker_share as
select (active.number + alive.number - 1) / alive.number as subscriptions
from (
    select count(*) as number from subscriptions where state = 'active' and not removed
) as active
cross join (
    select max(count(*), 1) as number
    from workers
    -- A time further ahead than the longest lease, and a minute, was written before the clock was set back.
    where alive_until between cast(unixepoch('subsec') * 1000000 as integer) + 1
        and cast(unixepoch('subsec') * 1000000 as integer) + 660000000
) as alive;
