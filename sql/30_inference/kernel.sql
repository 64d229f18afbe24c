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
