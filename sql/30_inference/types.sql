-- The one way from bytes to a vector: 8 us instead of 259 us through real[]. A cast has no privileges, and one from bytea would let
-- any role read server memory; so it starts at a type in a schema that nobody else may use, and one checking function goes through it.
-- The type's input function refuses (pg_node_tree_in does): a protocol parameter could name the type by its OID.
create schema hartonomous_private;
comment on schema hartonomous_private is 'What only hartonomous_definer reaches.';

create type hartonomous_private.vector_image;
create function hartonomous_private.vector_image_in(cstring) returns hartonomous_private.vector_image
    language internal immutable strict parallel safe as 'pg_node_tree_in';
create function hartonomous_private.vector_image_out(hartonomous_private.vector_image) returns cstring
    language internal immutable strict parallel safe as 'byteaout';
create type hartonomous_private.vector_image (
    input = hartonomous_private.vector_image_in, output = hartonomous_private.vector_image_out, like = bytea);
create cast (bytea as hartonomous_private.vector_image) without function;
create cast (hartonomous_private.vector_image as @extschema:vector@.vector) without function;
comment on type hartonomous_private.vector_image is 'Memory image of a vector: int16 dimensions, int16 0, float32 components, host byte order.';
comment on function hartonomous_private.vector_image_in(cstring) is 'Input of vector_image: refuses every text.';
comment on function hartonomous_private.vector_image_out(hartonomous_private.vector_image) is 'Output of vector_image: as bytea.';
