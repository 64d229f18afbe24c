create or replace function hartonomous.hilbert_encode(x bigint, y bigint) returns bigint
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    side constant bigint := (1::bigint << 31) - 1;
    bit  bigint := 1::bigint << 30;
    h    bigint := 0;
    rx   bigint;
    ry   bigint;
    swap bigint;
begin
    if x not between 0 and side or y not between 0 and side then
        raise exception 'hilbert coordinates (%, %) are outside 0 .. %', x, y, side using errcode = '22003';
    end if;
    while bit > 0 loop
        rx := (x & bit > 0)::int;
        ry := (y & bit > 0)::int;
        h := h + bit * bit * ((3 * rx) # ry);
        if ry = 0 then
            if rx = 1 then
                x := side - x;
                y := side - y;
            end if;
            swap := x; x := y; y := swap;
        end if;
        bit := bit >> 1;
    end loop;
    return h;
end
$$;
comment on function hartonomous.hilbert_encode(bigint, bigint) is
'Index (62 bits) of the point (x, y) on the Hilbert curve over a grid of 2^31 x 2^31 (Hilbert 1891; algorithm xy2d). Coordinates 0 .. 2147483647, else 22003. NULL in gives NULL.';

create or replace function hartonomous.hilbert_decode(h bigint, out x bigint, out y bigint)
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    bit  bigint := 1;
    rest bigint := h;
    rx   bigint;
    ry   bigint;
    swap bigint;
begin
    if h not between 0 and (1::bigint << 62) - 1 then
        raise exception 'hilbert index % is outside 0 .. 2^62 - 1', h using errcode = '22003';
    end if;
    x := 0;
    y := 0;
    while bit < 1::bigint << 31 loop
        rx := 1 & (rest >> 1);
        ry := 1 & (rest # rx);
        if ry = 0 then
            if rx = 1 then
                x := bit - 1 - x;
                y := bit - 1 - y;
            end if;
            swap := x; x := y; y := swap;
        end if;
        x := x + bit * rx;
        y := y + bit * ry;
        rest := rest >> 2;
        bit := bit << 1;
    end loop;
end
$$;
comment on function hartonomous.hilbert_decode(bigint) is
'Point (x, y) of an index on the Hilbert curve over 2^31 x 2^31; the inverse of hilbert_encode. Index 0 .. 2^62 - 1, else 22003. NULL in gives NULL.';

create or replace function hartonomous._leaf_point(geom @extschema:postgis@.geometry) returns point
language sql immutable parallel safe
return point(@extschema:postgis@.st_x(@extschema:postgis@.st_geometryn(_leaf_point.geom, 1)),
             @extschema:postgis@.st_y(@extschema:postgis@.st_geometryn(_leaf_point.geom, 1)));
comment on function hartonomous._leaf_point(@extschema:postgis@.geometry) is
'(x, y) of the only point of a leaf''s geometry; inlined, so that a query that says it uses the index that does.';

create or replace function hartonomous._modality(name text) returns smallint
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    found_code smallint := (select m.modality from hartonomous.modality as m where m.name = _modality.name);
begin
    if found_code is null then
        raise exception 'unknown modality %', coalesce(quote_literal(_modality.name), 'NULL')
            using errcode = '22023',
                  detail = format('known: %s', (select string_agg(m.name, ', ' order by m.modality) from hartonomous.modality as m));
    end if;
    return found_code;
end
$$;
comment on function hartonomous._modality(text) is 'Code of a modality name; 22023 when unknown.';
