create table hartonomous.artifact_shape (
    tenant_id   int not null,
    artifact_id bigint not null,
    kind        text not null,
    ordinal     int not null,
    geom        @extschema:postgis@.geometry not null,
    properties  jsonb not null default '{}',
    primary key (tenant_id, artifact_id, kind, ordinal),
    foreign key (tenant_id, artifact_id) references hartonomous.artifact on delete cascade
);
comment on table hartonomous.artifact_shape is
'What decoders found in artifacts, as geometry in the artifact''s own coordinates (docs/modalities.md says which): tiles of an image, envelopes of sound, series, nodes and edges, frames. Follows from the content: a row is written when the artifact is, and never changed.';
comment on column hartonomous.artifact_shape.kind is 'tile, envelope, series, node, edge, keyframe, function, class';
comment on column hartonomous.artifact_shape.ordinal is 'from 0, in the order of the content';
-- every artifact has coordinates of its own, so a place alone finds a shape of each: the artifact stands before it
create index artifact_shape_place on hartonomous.artifact_shape using gist (tenant_id, artifact_id, geom);

insert into hartonomous.tenant_table (relation) values ('hartonomous.artifact_shape');
select hartonomous._dump_rows('{hartonomous.artifact_shape}'::regclass[]);
