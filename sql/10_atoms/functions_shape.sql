create or replace function hartonomous._semantics_add(tenant_id int, artifact_id bigint, facts jsonb) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    update hartonomous.artifact as a set semantics = a.semantics || _semantics_add.facts
    where a.tenant_id = _semantics_add.tenant_id and a.artifact_id = _semantics_add.artifact_id;
end
$$;
comment on function hartonomous._semantics_add(int, bigint, jsonb) is 'Adds keys to what is known of an artifact.';

create or replace function hartonomous._shape_put(
    tenant_id int, artifact_id bigint, kinds text[], ordinals int[], geoms bytea[], properties jsonb[]) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.artifact_shape (tenant_id, artifact_id, kind, ordinal, geom, properties)
    select _shape_put.tenant_id, _shape_put.artifact_id, i.kind, i.ordinal, @extschema:postgis@.st_geomfromewkb(i.geom), i.properties
    from unnest(_shape_put.kinds, _shape_put.ordinals, _shape_put.geoms, _shape_put.properties) as i (kind, ordinal, geom, properties);
end;
comment on function hartonomous._shape_put(int, bigint, text[], int[], bytea[], jsonb[]) is 'Stores shapes of a new artifact; geoms: EWKB.';

create or replace function hartonomous._shape_root(
    artifact_id bigint, modalities text[] default null,
    out h_xy bigint, out h_yz bigint, out h_zm bigint, out content_length bigint, out owner_id int, out content_hash bytea)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    root   record;
    known  text;
begin
    root := hartonomous._artifact_root(tenant, artifact_id);
    if hartonomous._masked(tenant, 'content') then
        perform hartonomous._mask_refuse(tenant, 'content', 'shapes and samples');
    end if;
    known := (select m.name from hartonomous.modality as m where m.modality = root.modality);
    if known <> all (modalities) then
        raise exception 'artifact % is of modality %, expected %', artifact_id, known, array_to_string(modalities, ' or ')
            using errcode = '22023', hint = format(
                'bytes keep the modality they came under first: if that is wrong, hartonomous.artifact_delete(%s), then ingest them again as %s',
                artifact_id, modalities[1]);
    end if;
    select root.h_xy, root.h_yz, root.h_zm, root.content_length, root.owner_id, root.content_hash
    into h_xy, h_yz, h_zm, content_length, owner_id, content_hash;
end
$$;
comment on function hartonomous._shape_root(bigint, text[]) is
'Root atom and owner of an artifact whose content the caller may read; ZH010 no such artifact, ZH002 masked, 22023 of another modality.';

create or replace function hartonomous._plane_check(what text, place @extschema:postgis@.geometry) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if @extschema:postgis@.st_srid(place) <> 0 then
        raise exception '% has the SRID %, expected 0', what, @extschema:postgis@.st_srid(place)
            using errcode = '22023', hint = 'coordinates are the artifact''s own, not on the earth: st_setsrid(geometry, 0) says so';
    end if;
end
$$;
comment on function hartonomous._plane_check(text, @extschema:postgis@.geometry) is '22023 for a geometry with an SRID.';

create or replace function hartonomous.artifact_shapes(
    artifact_id bigint, of_kind text default null, within @extschema:postgis@.geometry default null)
returns table (kind text, ordinal int, geom @extschema:postgis@.geometry, properties jsonb)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    owner constant int := case when artifact_id is not null then (hartonomous._shape_root(artifact_id)).owner_id end;
begin
    perform hartonomous._plane_check('within', within);
    if within is null then
        return query
        select s.kind, s.ordinal, s.geom, s.properties from hartonomous.artifact_shape as s
        where s.tenant_id = owner and s.artifact_id = artifact_shapes.artifact_id
          and (of_kind is null or s.kind = of_kind)
        order by s.kind, s.ordinal;
    else
        return query
        select s.kind, s.ordinal, s.geom, s.properties from hartonomous.artifact_shape as s
        where s.tenant_id = owner and s.artifact_id = artifact_shapes.artifact_id
          and s.geom operator(@extschema:postgis@.&&) artifact_shapes.within
          and @extschema:postgis@.st_intersects(s.geom, artifact_shapes.within)
          and (of_kind is null or s.kind = of_kind)
        order by s.kind, s.ordinal;
    end if;
end
$$;
comment on function hartonomous.artifact_shapes(bigint, text, @extschema:postgis@.geometry) is
'Shapes that the decoder of an artifact''s modality found in it, of one kind or all, those that intersect a geometry or all; coordinates are the artifact''s own. No rows for what is not decoded. Errors: ZH010 no such artifact, ZH002 masked, 22023 SRID. NULL in gives no rows.';

create or replace function hartonomous.artifact_overlap(
    a bigint, b bigint, reach double precision default 0, kind_a text default null, kind_b text default null)
returns table (a_kind text, a_ordinal int, b_kind text, b_ordinal int, distance double precision)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    owner_a constant int := case when a is not null then (hartonomous._shape_root(a)).owner_id end;
    owner_b constant int := case when b is not null then (hartonomous._shape_root(b)).owner_id end;
begin
    if reach is null or not reach between 0 and 1e12 then
        raise exception 'reach is %, expected 0 to 1e12', coalesce(reach::text, 'NULL') using errcode = '22023',
            hint = '0 finds shapes that touch or intersect';
    end if;
    return query
    select s.kind, s.ordinal, o.kind, o.ordinal, @extschema:postgis@.st_distance(s.geom, o.geom)
    from hartonomous.artifact_shape as s
    join hartonomous.artifact_shape as o
      on o.tenant_id = owner_b and o.artifact_id = artifact_overlap.b
     and @extschema:postgis@.st_dwithin(s.geom, o.geom, reach)
    where s.tenant_id = owner_a and s.artifact_id = artifact_overlap.a
      and (kind_a is null or s.kind = kind_a) and (kind_b is null or o.kind = kind_b)
    order by s.kind, s.ordinal, o.kind, o.ordinal;
end
$$;
comment on function hartonomous.artifact_overlap(bigint, bigint, double precision, text, text) is
'Pairs of shapes of two artifacts that intersect (distance 0) or, with reach, lie at most so far apart, in the coordinates that both have: two images pixel by pixel, two recordings from their beginnings, two series by their times. kind_a, kind_b: shapes of one kind only. Errors: ZH010 no such artifact, ZH002 masked, 22023 reach. NULL for an artifact gives no rows.';

create or replace function hartonomous.image_pixels(artifact_id bigint, box @extschema:postgis@.geometry default null)
returns table (x int, y int, channels real[], geom @extschema:postgis@.geometry)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    root record;
begin
    if artifact_id is null or @extschema:postgis@.st_isempty(box) then
        return;
    end if;
    perform hartonomous._plane_check('box', box);
    root := hartonomous._shape_root(artifact_id, array['image']);
    return query
    select p.x, p.y, (array[st.r, st.g, st.b, st.a])[1:i.channels]::real[], @extschema:postgis@.st_makepoint(p.x + 0.5, p.y + 0.5)
    from hartonomous._image_pixels(root.h_xy, root.h_yz, root.h_zm, root.content_length,
        case when box is not null then array[@extschema:postgis@.st_xmin(box), @extschema:postgis@.st_ymin(box),
                                             @extschema:postgis@.st_xmax(box), @extschema:postgis@.st_ymax(box)] end) as i
    cross join lateral @extschema:postgis@.st_dumppoints(@extschema:postgis@.st_geomfromewkb(i.pixels)) as d
    cross join lateral (select @extschema:postgis@.st_x(d.geom), @extschema:postgis@.st_y(d.geom),
                               @extschema:postgis@.st_z(d.geom), @extschema:postgis@.st_m(d.geom)) as st (r, g, b, a)
    cross join lateral (select i.x + (d.path[1] - 1) % i.width, i.y + (d.path[1] - 1) / i.width) as p (x, y);
end
$$;
comment on function hartonomous.image_pixels(bigint, @extschema:postgis@.geometry) is
'Pixels of an image (its first frame), decoded when asked for: row by row those whose squares overlap the box of a geometry, or all; at most 1,048,576. x to the right, y down, from 0; channels in the order of the mode that artifact.semantics names, a palette as RGB or RGBA; geom: the middle of the pixel. Errors: ZH010 no such artifact, ZH002 masked, 22023 no image, SRID or too many pixels. NULL in gives no rows.';

create or replace function hartonomous._image_pixels(
    h_xy bigint, h_yz bigint, h_zm bigint, content_length bigint, box double precision[],
    out x int, out y int, out width int, out channels int, out pixels bytea)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import decoding
return decoding.image_pixels(plpy, (h_xy, h_yz, h_zm, content_length), box)
$$;
comment on function hartonomous._image_pixels(bigint, bigint, bigint, bigint, double precision[]) is
'Pixels of the image at a place: left, top and width of the rectangle, number of channels, and a MULTIPOINT ZM of the channels as EWKB, row by row.';

create or replace function hartonomous._seconds_check(from_time double precision, to_time double precision) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if 'NaN' in (from_time, to_time) then
        raise exception 'time is NaN, expected seconds' using errcode = '22023';
    end if;
end
$$;
comment on function hartonomous._seconds_check(double precision, double precision) is '22023 for a time that is NaN.';

create or replace function hartonomous._sample_points(samples bytea)
returns table (at_time double precision, value double precision, geom @extschema:postgis@.geometry)
language sql immutable parallel safe
begin atomic
    select @extschema:postgis@.st_x(d.geom), @extschema:postgis@.st_y(d.geom), d.geom
    from @extschema:postgis@.st_dumppoints(@extschema:postgis@.st_geomfromewkb(_sample_points.samples)) as d;
end;
comment on function hartonomous._sample_points(bytea) is 'Points of a MULTIPOINT M (time, value) in EWKB; inlined.';

create or replace function hartonomous.audio_samples(
    artifact_id bigint, from_time double precision default 0, to_time double precision default null)
returns table (channel int, at_time double precision, amplitude double precision, geom @extschema:postgis@.geometry)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    root record;
begin
    if artifact_id is null or from_time is null then
        return;
    end if;
    perform hartonomous._seconds_check(from_time, to_time);
    root := hartonomous._shape_root(artifact_id, array['audio']);
    return query
    select s.channel, p.at_time, p.value, p.geom
    from hartonomous._audio_samples(root.h_xy, root.h_yz, root.h_zm, root.content_length, from_time, to_time) as s
    cross join lateral hartonomous._sample_points(s.samples) as p;
end
$$;
comment on function hartonomous.audio_samples(bigint, double precision, double precision) is
'Samples of a sound at from_time <= time < to_time (seconds; NULL: to its end), decoded when asked for; reads no more of the content than its format needs. amplitude -1 .. 1; geom: POINT M (time, amplitude, frame). Errors: ZH010 no such artifact, ZH002 masked, 22023 no audio or NaN. NULL for artifact or from_time gives no rows.';

create or replace function hartonomous._audio_samples(
    h_xy bigint, h_yz bigint, h_zm bigint, content_length bigint, from_time double precision, to_time double precision)
returns table (channel int, samples bytea)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import decoding
return decoding.audio_samples(plpy, (h_xy, h_yz, h_zm, content_length), from_time, to_time)
$$;
comment on function hartonomous._audio_samples(bigint, bigint, bigint, bigint, double precision, double precision) is
'Samples of the sound at a place: per block and channel a MULTIPOINT M (time, amplitude, frame) as EWKB.';

create or replace function hartonomous.sensor_samples(
    artifact_id bigint, of_series text default null, from_time double precision default null, to_time double precision default null)
returns table (series text, at_time double precision, value double precision, geom @extschema:postgis@.geometry)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    root record;
begin
    if artifact_id is null then
        return;
    end if;
    perform hartonomous._seconds_check(from_time, to_time);
    root := hartonomous._shape_root(artifact_id, array['sensor']);
    return query
    select s.series, p.at_time, p.value, p.geom
    from hartonomous._sensor_samples(root.h_xy, root.h_yz, root.h_zm, root.content_length, of_series, from_time, to_time) as s
    cross join lateral hartonomous._sample_points(s.samples) as p;
end
$$;
comment on function hartonomous.sensor_samples(bigint, text, double precision, double precision) is
'Samples of one series or all at from_time <= time < to_time, in the order of time, decoded when asked for. Times are those of the content, dates in seconds since 1970 in UTC; geom: POINT M (time, value, time). Errors: ZH010 no such artifact, ZH002 masked, 22023 no sensor content or NaN. NULL for artifact_id gives no rows, for another argument all.';

create or replace function hartonomous._sensor_samples(
    h_xy bigint, h_yz bigint, h_zm bigint, content_length bigint, of_series text, from_time double precision, to_time double precision)
returns table (series text, samples bytea)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.atoms import decoding
return decoding.sensor_samples(plpy, (h_xy, h_yz, h_zm, content_length), of_series, from_time, to_time)
$$;
comment on function hartonomous._sensor_samples(bigint, bigint, bigint, bigint, text, double precision, double precision) is
'Samples of the series at a place: per series and run a MULTIPOINT M (time, value, time) as EWKB.';

create or replace function hartonomous.text_lines(artifact_id bigint)
returns table (line int, body text, geom @extschema:postgis@.geometry)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    root record;
begin
    if artifact_id is null then
        return;
    end if;
    root := hartonomous._shape_root(artifact_id, array['text', 'code']);
    perform hartonomous._field_check(root.content_length);
    return query
    select l.line::int, l.body, @extschema:postgis@.st_makeline(@extschema:postgis@.st_makepoint(0, l.line),
                                                                @extschema:postgis@.st_makepoint(length(l.body), l.line))
    from string_to_table(convert_from(hartonomous._content(root.h_xy, root.h_yz, root.h_zm, root.content_hash), 'UTF8'), E'\n')
         with ordinality as t (body, n)
    cross join lateral (select t.n - 1, rtrim(t.body, E'\r')) as l (line, body)
    order by l.line;
end
$$;
comment on function hartonomous.text_lines(bigint) is
'Lines of a text or of code, found when asked for; line counts from 0, geom is a LINESTRING from (0, line) to (characters, line), the coordinates of the shapes of code. Errors: ZH010 no such artifact, ZH002 masked, 22023 neither text nor code, 22021 bytes that are no UTF-8, 54000 more than 1 GB. NULL in gives no rows.';

-- here, as views are created before functions
create or replace view hartonomous.audio_sample with (security_invoker = true) as
select a.tenant_id, a.artifact_id, s.channel, s.at_time as "time", s.amplitude, s.geom
from hartonomous.artifact as a cross join lateral hartonomous.audio_samples(a.artifact_id) as s
where a.modality = 4 and a.deleted_at is null;
comment on view hartonomous.audio_sample is
'Samples of all sounds that the caller may read, decoded when asked for: name the artifact_id. A condition on time decodes the whole sound; hartonomous.audio_samples(artifact_id, from_time, to_time) reads a part.';
