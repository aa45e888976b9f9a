-- Names for pages of the console, for all operators. At most about a hundred rows.
create table saved_views (
    id         blob not null,
    name       text not null,
    path       text not null, -- domain's ConsolePath
    created_at integer not null,
    -- Finds the view to remove.
    constraint saved_views_id_pkey primary key (id),
    -- Two views with one name could not be told apart. The order of the list.
    constraint saved_views_name_key unique (name)
) strict;
