-- The key is the value of a sequence because a dump restores that over the one a new installation drew; a row would collide with it.
create sequence hartonomous.id_key;
comment on sequence hartonomous.id_key is 'Its value is the key of the permutation behind opaque ids and of advisory locks; only hartonomous_definer reads it.';
select pg_catalog.setval('hartonomous.id_key', pg_catalog.hashtextextended(pg_catalog.gen_random_uuid()::text, 0) & 9223372036854775807);
select pg_catalog.pg_extension_config_dump('hartonomous.id_key', '');
