alter table hartonomous.embedding_statistics
    add exact_classes text[] not null default '{}',
    add took_ms real not null default 0;
comment on column hartonomous.embedding_statistics.exact_classes is 'classes of filter for which recall_watch found less than was asked: all is compared until the next analysis';

create table hartonomous.search_sample (
    search_sample_id bigint primary key,
    tenant_id    int not null references hartonomous.tenant,
    model_id     bigint not null references hartonomous.model on delete cascade,
    query        @extschema:vector@.vector not null,
    k            int not null,
    filter       jsonb not null,
    recall       real not null,
    us           real not null,
    share        real not null,
    sampled_at   timestamptz not null default clock_timestamp(),
    replayed_at  timestamptz,
    filter_class text,
    exact        boolean,
    hits         int,
    size         int
);
select hartonomous._opaque_ids('hartonomous.search_sample', 'search_sample_id');
comment on table hartonomous.search_sample is
'Searches by a vector, drawn by chance (share), that candidates answered in so many microseconds (us), the newest 300 of a tenant and model: what recall_watch asks again, by the path that is taken now and exactly, and how many of the true nearest (size) were found (hits).';
create index on hartonomous.search_sample (tenant_id, model_id, sampled_at);

create table hartonomous.recall_state (
    tenant_id  int not null references hartonomous.tenant,
    model_id   bigint not null references hartonomous.model on delete cascade,
    watched_at timestamptz not null,
    earned_us  double precision not null default 0,
    spent_us   double precision not null default 0,
    primary key (tenant_id, model_id)
);
comment on table hartonomous.recall_state is
'When recall_watch last looked after a tenant''s searches by a model, the microseconds that it may spend on asking again (1 % of those that the sample stands for), and those it has spent.';

create table hartonomous.recall_action (
    recall_action_id bigint primary key,
    tenant_id     int not null references hartonomous.tenant,
    model_id      bigint not null references hartonomous.model on delete cascade,
    filter_class  text,
    action        text not null check (action in ('analyze', 'exact', 'rebuild')),
    reason        text not null,
    recall_before real,
    recall_after  real,
    acted_at      timestamptz not null default clock_timestamp()
);
select hartonomous._opaque_ids('hartonomous.recall_action', 'recall_action_id');
comment on table hartonomous.recall_action is
'What recall_watch did for a tenant''s searches by a model and a class of filter (NULL: none was sampled): analyze, measured the paths anew; exact, all is compared until the next analysis; rebuild, the HNSW index finds too little and an administrator should make it anew by embedding_index_add. The recall of the sampled searches before and, asked again, after; the newest 100 of a tenant and model.';
create index on hartonomous.recall_action (tenant_id, model_id, acted_at);

insert into hartonomous.tenant_table (relation) values ('hartonomous.search_sample'), ('hartonomous.recall_state'), ('hartonomous.recall_action');
select hartonomous._dump_rows(array['hartonomous.search_sample', 'hartonomous.recall_state', 'hartonomous.recall_action']::regclass[]);
