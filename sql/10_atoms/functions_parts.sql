create or replace function hartonomous.atom_parts(artifact_id bigint, from_byte bigint default 0, to_byte bigint default null)
returns table (start bigint, length bigint, h_xy bigint, h_yz bigint, h_zm bigint, place @extschema:postgis@.geometry)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    root   record;
begin
    if from_byte < 0 or to_byte < from_byte then
        raise exception 'bytes % to % are no range', from_byte, to_byte using errcode = '22023',
            hint = 'bytes count from 0; to_byte is behind the last one, NULL for the end';
    elsif atom_parts.artifact_id is null or from_byte is null then
        return;
    end if;
    root := hartonomous._artifact_root(tenant, atom_parts.artifact_id);
    if hartonomous._masked(tenant, 'content') then
        perform hartonomous._mask_refuse(tenant, 'content', 'places of atoms');
    end if;
    return query
    select u.start, u.length, u.h_xy, u.h_yz, u.h_zm, @extschema:postgis@.st_makepoint(u.x, u.y, u.z, u.m)
    from hartonomous._atom_parts(root.h_xy, root.h_yz, root.h_zm, root.content_length, from_byte, coalesce(to_byte, root.content_length)) as p
    cross join lateral unnest(p.starts, p.lengths, p.h_xy, p.h_yz, p.h_zm, p.xs, p.ys, p.zs, p.ms) as u (start, length, h_xy, h_yz, h_zm, x, y, z, m);
end
$$;
comment on function hartonomous.atom_parts(bigint, bigint, bigint) is
'The lowest atoms that an artifact is made of, in the order of its bytes, all or those that hold bytes from_byte to to_byte (from 0, the last not included): where each begins, how long it is, its key, and its place as a POINT ZM. Leaves have at most 64 bytes and are what atom_nearest finds; longer ones are blocks, which atom_explode makes leaves of. content_slice(artifact_id, start, length) reads one. Errors: ZH010 no such artifact, ZH013 damaged, ZH002 masked, 22023 range. NULL for the artifact or from_byte gives no rows.';

create or replace function hartonomous._atom_parts(h_xy bigint, h_yz bigint, h_zm bigint, content_length bigint, from_byte bigint, to_byte bigint)
returns table (starts bigint[], lengths bigint[], h_xy bigint[], h_yz bigint[], h_zm bigint[],
               xs double precision[], ys double precision[], zs double precision[], ms double precision[])
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import parts
return parts.parts(plpy, (h_xy, h_yz, h_zm), content_length, from_byte, to_byte)
$$;
comment on function hartonomous._atom_parts(bigint, bigint, bigint, bigint, bigint, bigint) is
'The lowest atoms at or below a place that hold some of its bytes, many a row.';
