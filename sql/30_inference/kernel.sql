-- The one way from bytes to a vector: 8 us instead of 259 us through real[]. A cast has no privileges, and one from bytea would let
-- any role read server memory; so it starts at a type in a schema that nobody else may use, and one checking function goes through it.
-- The type's input function refuses (pg_node_tree_in does): a protocol parameter could name the type by its OID.
create schema if not exists hartonomous_private;
revoke all on schema hartonomous_private from public;

do $$
begin
    if pg_catalog.to_regtype('hartonomous_private.vector_image') is null then
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
    end if;
end
$$;

create or replace function hartonomous._vector(image bytea) returns @extschema:vector@.vector
language plpgsql immutable strict parallel safe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    dimensions constant int := case when octet_length(image) >= 8 then get_byte(image, 0) + 256 * get_byte(image, 1) else 0 end;
    v @extschema:vector@.vector;
begin
    if dimensions not between 1 and 16000 or octet_length(image) <> 4 + 4 * dimensions or get_byte(image, 2) + get_byte(image, 3) > 0 then
        raise exception 'vector image of % bytes does not hold % components', octet_length(image), dimensions using errcode = 'ZH040';
    end if;
    v := image::hartonomous_private.vector_image::@extschema:vector@.vector;
    if not @extschema:vector@.vector_norm(v) < 'infinity' then  -- NaN sorts above infinity
        raise exception 'vector is not finite' using errcode = 'ZH040';
    end if;
    return v;
end
$$;
comment on function hartonomous._vector(bytea) is
'Vector from its memory image (int16 dimensions, int16 0, float32 components); ZH040 for a wrong length or a component that is not finite.';
