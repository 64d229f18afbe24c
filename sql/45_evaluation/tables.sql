create table hartonomous.training_row (
    tenant_id   int not null references hartonomous.tenant,
    model_id    bigint not null references hartonomous.model on delete cascade,
    artifact_id bigint not null,
    label       text not null check (label <> ''),
    primary key (tenant_id, model_id, artifact_id),
    foreign key (tenant_id, artifact_id) references hartonomous.artifact on delete cascade
);
comment on table hartonomous.training_row is 'What the versions of heads were fitted to: an artifact, of which the embedding by the head''s base model is meant, and its label.';
create index on hartonomous.training_row (tenant_id, artifact_id);
create index on hartonomous.training_row (model_id);

create table hartonomous.evaluation (
    tenant_id  int not null references hartonomous.tenant,
    name       text not null check (name <> ''),
    kind       text not null check (kind in ('retrieval', 'classification', 'text')),
    created_at timestamptz not null default now(),
    primary key (tenant_id, name)
);
comment on table hartonomous.evaluation is 'Evaluation sets, on which model_validate compares two models.';

create table hartonomous.evaluation_item (
    tenant_id int not null references hartonomous.tenant,
    name      text not null,
    ordinal   int not null,
    input     text not null,
    expected  text,
    primary key (tenant_id, name, ordinal),
    foreign key (tenant_id, name) references hartonomous.evaluation on delete cascade
);
comment on table hartonomous.evaluation_item is
'Items of evaluation sets. expected: the source uri of a passage or document that answers a question (several: one item each), the label of a text; NULL in sets of texts.';

insert into hartonomous.tenant_table (relation)
select r from unnest(array['hartonomous.training_row', 'hartonomous.evaluation', 'hartonomous.evaluation_item']::regclass[]) as r;
select hartonomous._dump_rows(array['hartonomous.training_row', 'hartonomous.evaluation', 'hartonomous.evaluation_item']::regclass[]);
insert into hartonomous.operation values ('evaluate', 'read');
