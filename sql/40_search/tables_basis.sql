create table hartonomous.embedding_basis (
    tenant_id   int not null references hartonomous.tenant,
    model_id    bigint not null references hartonomous.model on delete cascade,
    version     int not null,
    current     boolean not null,
    made        text not null check (made in ('random', 'copied', 'data')),
    axes        @extschema:vector@.vector[] not null check (cardinality(axes) = 3),
    sample      int,
    variance    real,
    variance_now real,
    filled_to   bigint,
    made_at     timestamptz not null default clock_timestamp(),
    current_at  timestamptz,
    primary key (tenant_id, model_id, version),
    unique (tenant_id, model_id, current)
);
comment on table hartonomous.embedding_basis is
'The three orthonormal directions (axes) along which a tenant''s embeddings by a model have their places. current: searches use it; the other one, if there is one, is to come: places by it are written beside those by the first, up to the artifact filled_to, and it becomes current when all have one. made: random, from the model''s weights; copied, from tenant 0''s; data, the directions along which a sample of so many of the tenant''s own embeddings varies most. variance: the share of the sample''s variance along them, variance_now: the same when last measured.';

create table hartonomous.embedding_place (
    tenant_id   int not null,
    model_id    bigint not null,
    artifact_id bigint not null,
    basis       int not null,
    place       @extschema:postgis@.geometry(pointz, 0) not null,
    coarse      @extschema:postgis@.geometry(pointz, 0) generated always as (@extschema:postgis@.st_snaptogrid(place, 0.125, 0.125, 0.125, 0)) stored,
    bucket_x    int generated always as (floor((@extschema:postgis@.st_x(place) + 1) * 8)::int) stored,
    bucket_y    int generated always as (floor((@extschema:postgis@.st_y(place) + 1) * 8)::int) stored,
    bucket_z    int generated always as (floor((@extschema:postgis@.st_z(place) + 1) * 8)::int) stored,
    primary key (tenant_id, model_id, artifact_id, basis)
);
comment on table hartonomous.embedding_place is
'Places of embeddings in three dimensions, by the current basis (embedding_basis.version) and by one to come. coarse and bucket_x, bucket_y, bucket_z: the cell of a grid of 16 cells from -1 to 1. Beside the embeddings, not in them: a change of basis writes no vector again. Written with them, deleted by a trigger of theirs.';
-- what others have shall not show in estimates
alter table hartonomous.embedding_place alter place set statistics 0, alter coarse set statistics 0, alter bucket_x set statistics 0,
    alter bucket_y set statistics 0, alter bucket_z set statistics 0;
create index embedding_place_nearest on hartonomous.embedding_place using gist (tenant_id, model_id, basis, place @extschema:postgis@.gist_geometry_ops_nd);
create trigger embedding_place_delete after delete on hartonomous.atom_embedding
referencing old table as gone for each statement execute function hartonomous._embedding_place_deleted();

insert into hartonomous.tenant_table (relation) values ('hartonomous.embedding_basis'), ('hartonomous.embedding_place');
select hartonomous._dump_rows(array['hartonomous.embedding_basis', 'hartonomous.embedding_place']::regclass[]);
