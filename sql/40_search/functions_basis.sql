create or replace function hartonomous.project(v @extschema:vector@.vector, model text default null) returns @extschema:postgis@.geometry
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
begin
    if v is null then
        return null;
    end if;
    perform hartonomous._dimensions_check(target, v);
    return hartonomous._place(v, hartonomous._axes(tenant, target));
end
$$;
comment on function hartonomous.project(@extschema:vector@.vector, text) is
'Place of a vector in three dimensions (POINT Z, each coordinate within -1 .. 1): the projection of its direction onto the three orthonormal directions of the own tenant''s current basis of the model (hartonomous.embedding_basis). NULL gives NULL; ZH020 no such model, ZH040 wrong dimensions.';

create or replace function hartonomous._basis_random(model_id bigint, dimensions int) returns bytea[]
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.search import basis
return basis.random(plpy, model_id, dimensions)
$$;
comment on function hartonomous._basis_random(bigint, int) is 'Three directions that follow from a model''s weights alone, as memory images.';

create or replace function hartonomous._basis_fit(given bytea[], out images bytea[], out variance double precision)
language plpython3u immutable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.search import basis
return basis.fit(given)
$$;
comment on function hartonomous._basis_fit(bytea[]) is
'Three directions along which vectors, given as vector_send gives them, vary most, as memory images, and their share of the variance.';

create or replace function hartonomous._axes_of(images bytea[]) returns @extschema:vector@.vector[]
language sql stable parallel restricted
return array(select hartonomous._vector(i.image) from unnest(_axes_of.images) with ordinality as i (image, position) order by i.position);
comment on function hartonomous._axes_of(bytea[]) is 'Directions from their memory images.';

create or replace function hartonomous._axes(tenant_id int, model_id bigint) returns @extschema:vector@.vector[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    known constant @extschema:vector@.vector[] := (
        select b.axes from hartonomous.embedding_basis as b
        where b.tenant_id in (_axes.tenant_id, 0) and b.model_id = _axes.model_id and b.current order by b.tenant_id desc limit 1);
begin
    return coalesce(known, hartonomous._axes_of(hartonomous._basis_random(
        model_id, (select m.dimensions from hartonomous.model as m where m.model_id = _axes.model_id))));
end
$$;
comment on function hartonomous._axes(int, bigint) is
'Directions of a tenant''s current basis of a model; of one that has none, what its first embeddings would get: tenant 0''s, or random ones.';

create or replace function hartonomous._basis_version(tenant_id int, model_id bigint) returns int
language sql stable parallel safe
return (select b.version from hartonomous.embedding_basis as b
        where b.tenant_id = _basis_version.tenant_id and b.model_id = _basis_version.model_id and b.current);
comment on function hartonomous._basis_version(int, bigint) is 'Version of a tenant''s current basis of a model; NULL without embeddings.';

create or replace function hartonomous._basis_key(tenant_id int, model_id bigint) returns bigint
language sql stable parallel safe
return hartonomous._lock_key(format('basis %s %s', _basis_key.tenant_id, _basis_key.model_id));
comment on function hartonomous._basis_key(int, bigint) is
'Key of the advisory lock that writers of places share, and that a change of basis has alone.';

create or replace function hartonomous._basis_make(tenant_id int, model_id bigint) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    insert into hartonomous.embedding_basis (tenant_id, model_id, version, current, made, axes, current_at)
    select _basis_make.tenant_id, _basis_make.model_id, 1, true,
           case when exists (select from hartonomous.embedding_basis as b where b.tenant_id = 0 and b.model_id = _basis_make.model_id and b.current)
                then 'copied' else 'random' end, hartonomous._axes(_basis_make.tenant_id, _basis_make.model_id), clock_timestamp()
    on conflict do nothing;
end;
comment on function hartonomous._basis_make(int, bigint) is
'Makes the first basis of a tenant''s embeddings by a model: tenant 0''s, or a random one. Who makes it at the same time waits for the other''s transaction.';

create or replace function hartonomous._basis_first() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._basis_make(new.tenant_id, new.model_id);
    return null;
end
$$;
comment on function hartonomous._basis_first() is
'Row trigger: an embedding model has its owner''s basis when it is ready, or the first embeddings of several sessions would wait for one another.';
create or replace trigger embedding_basis_first after update of status on hartonomous.model
    for each row when (new.kind = 'embedding' and new.status = 'ready' and old.status = 'loading') execute function hartonomous._basis_first();

create or replace function hartonomous._basis_hold(
    tenant_id int, model_id bigint, out version int, out axes @extschema:vector@.vector[], out next_version int, out next_axes @extschema:vector@.vector[])
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    present hartonomous.embedding_basis;
    coming  hartonomous.embedding_basis;
begin
    perform pg_advisory_xact_lock_shared(hartonomous._basis_key(tenant_id, model_id));
    if not exists (select from hartonomous.embedding_basis as b where b.tenant_id = _basis_hold.tenant_id and b.model_id = _basis_hold.model_id) then
        perform hartonomous._basis_make(tenant_id, model_id);
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then  -- fails where the snapshot is older than the basis
        perform from hartonomous.embedding_basis as b
        where b.tenant_id = _basis_hold.tenant_id and b.model_id = _basis_hold.model_id and b.current for key share;
    end if;
    present := (select b from hartonomous.embedding_basis as b
                where b.tenant_id = _basis_hold.tenant_id and b.model_id = _basis_hold.model_id and b.current);
    coming := hartonomous._basis_coming(tenant_id, model_id);
    version := present.version;
    axes := present.axes;
    next_version := coming.version;
    next_axes := coming.axes;
end
$$;
comment on function hartonomous._basis_hold(int, bigint) is
'The bases by which a tenant''s embeddings by a model get places, the current one and one to come; the former stays current until the transaction ends. That of a tenant by a model of tenant 0 is made with its first embeddings.';

create or replace function hartonomous._basis_variance(tenant_id int, model_id bigint) returns double precision
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    axes  constant @extschema:vector@.vector[] := hartonomous._axes(tenant_id, model_id);
    -- ids are permuted: those that follow any one are a random sample
    first constant bigint := floor(random() * (1::bigint << 39));
begin
    return (
        select (var_pop(@extschema:postgis@.st_x(s.place)) + var_pop(@extschema:postgis@.st_y(s.place)) + var_pop(@extschema:postgis@.st_z(s.place)))
               / greatest(1 - @extschema:vector@.vector_norm(@extschema:vector@.avg(@extschema:vector@.l2_normalize(s.embedding))) ^ 2, 1e-9)
        from (select e.embedding, hartonomous._place(e.embedding, axes) as place
              from (select e.embedding from hartonomous.atom_embedding as e
                    where e.tenant_id = _basis_variance.tenant_id and e.model_id = _basis_variance.model_id and e.artifact_id >= first
                    order by e.artifact_id limit 1000) as e) as s);
end
$$;
comment on function hartonomous._basis_variance(int, bigint) is
'The share of the variance of a tenant''s embeddings by a model that lies along its current basis, from a sample of 1000.';

create or replace function hartonomous._basis_drift(tenant_id int, model_id bigint) returns text
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    now_held constant double precision := hartonomous._basis_variance(tenant_id, model_id);
begin
    update hartonomous.embedding_basis as b set variance_now = now_held
    where b.tenant_id = _basis_drift.tenant_id and b.model_id = _basis_drift.model_id and b.current
      and (b.variance_now is null or abs(b.variance_now - now_held) > 0.01);
    return (select format('places hold %s %% of the variance, and held %s %% when their directions were chosen',
                          round(100 * now_held), round((100 * b.variance)::numeric))
            from hartonomous.embedding_basis as b
            where b.tenant_id = _basis_drift.tenant_id and b.model_id = _basis_drift.model_id and b.current and b.made = 'data' and now_held < 0.8 * b.variance);
end
$$;
comment on function hartonomous._basis_drift(int, bigint) is
'Measures how much of the variance the current basis holds, and says so where that is less than 80 % of what it held when it was made from data.';

create or replace function hartonomous._basis_begin(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
    first  constant bigint := floor(random() * (1::bigint << 39));
    most   constant int := (select least(5000, greatest(500, 8000000 / m.dimensions)) from hartonomous.model as m where m.model_id = _basis_begin.model_id);
    given  constant bytea[] := array(
        select s.image from (
            (select @extschema:vector@.vector_send(e.embedding) as image from hartonomous.atom_embedding as e
             where e.tenant_id = _basis_begin.tenant_id and e.model_id = _basis_begin.model_id and e.artifact_id >= first order by e.artifact_id limit most)
            union all
            (select @extschema:vector@.vector_send(e.embedding) from hartonomous.atom_embedding as e
             where e.tenant_id = _basis_begin.tenant_id and e.model_id = _basis_begin.model_id and e.artifact_id < first order by e.artifact_id limit most)) as s
        limit most);
begin
    insert into hartonomous.embedding_basis (tenant_id, model_id, version, current, made, axes, sample, variance)
    select _basis_begin.tenant_id, _basis_begin.model_id, b.version + 1, false, 'data', hartonomous._axes_of(f.images), cardinality(given), f.variance
    from hartonomous.embedding_basis as b cross join hartonomous._basis_fit(given) as f
    where b.tenant_id = _basis_begin.tenant_id and b.model_id = _basis_begin.model_id and b.current;
end
$$;
comment on function hartonomous._basis_begin(int, bigint) is 'Makes a basis to come from a sample of a tenant''s own embeddings by a model.';

create or replace function hartonomous._basis_coming(tenant_id int, model_id bigint) returns hartonomous.embedding_basis
language sql stable parallel safe
return (select b from hartonomous.embedding_basis as b
        where b.tenant_id = _basis_coming.tenant_id and b.model_id = _basis_coming.model_id and not b.current);
comment on function hartonomous._basis_coming(int, bigint) is 'The basis to come of a tenant''s embeddings by a model, or NULL.';

create or replace function hartonomous._basis_fill(tenant_id int, model_id bigint, batch int) returns boolean
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '10s' as $$
#variable_conflict use_column
declare
    coming constant hartonomous.embedding_basis := hartonomous._basis_coming(tenant_id, model_id);
    axes   constant @extschema:vector@.vector[] := coming.axes;
    done   record;
begin
    with part as materialized (
        select e.artifact_id, e.embedding from hartonomous.atom_embedding as e
        where e.tenant_id = _basis_fill.tenant_id and e.model_id = _basis_fill.model_id and e.artifact_id > coalesce(coming.filled_to, -1)
        order by e.artifact_id limit batch
    ), placed as (
        insert into hartonomous.embedding_place (tenant_id, model_id, artifact_id, basis, place)
        select _basis_fill.tenant_id, _basis_fill.model_id, p.artifact_id, coming.version, hartonomous._place(p.embedding, axes) from part as p
        on conflict do nothing
    )
    select max(p.artifact_id) as last, count(*) as rows into done from part as p;
    update hartonomous.embedding_basis as b set filled_to = coalesce(done.last, b.filled_to)
    where b.tenant_id = _basis_fill.tenant_id and b.model_id = _basis_fill.model_id and not b.current;
    return done.rows < batch;
end
$$;
comment on function hartonomous._basis_fill(int, bigint, int) is
'Writes places by the basis to come for the next, so many, of a tenant''s embeddings by a model; whether it came to the end.';

create or replace function hartonomous._basis_switch(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '10s' as $$
#variable_conflict use_column
declare
    coming constant hartonomous.embedding_basis := hartonomous._basis_coming(tenant_id, model_id);
    axes   constant @extschema:vector@.vector[] := coming.axes;
begin
    perform pg_advisory_xact_lock(hartonomous._basis_key(tenant_id, model_id));
    -- what was stored or replaced by transactions that did not see the basis to come
    insert into hartonomous.embedding_place (tenant_id, model_id, artifact_id, basis, place)
    select _basis_switch.tenant_id, _basis_switch.model_id, n.artifact_id, coming.version, n.place
    from (select e.artifact_id, hartonomous._place(e.embedding, axes) as place from hartonomous.atom_embedding as e
          where e.tenant_id = _basis_switch.tenant_id and e.model_id = _basis_switch.model_id offset 0) as n
    left join hartonomous.embedding_place as p
      on p.tenant_id = _basis_switch.tenant_id and p.model_id = _basis_switch.model_id and p.artifact_id = n.artifact_id and p.basis = coming.version
    where p.place is null or p.place operator(@extschema:postgis@.<>) n.place
    on conflict (tenant_id, model_id, artifact_id, basis) do update set place = excluded.place;
    delete from hartonomous.embedding_place as p
    where p.tenant_id = _basis_switch.tenant_id and p.model_id = _basis_switch.model_id
      and (p.basis <> coming.version  -- or was written while its embedding was deleted
           or not exists (select from hartonomous.atom_embedding as e where e.tenant_id = _basis_switch.tenant_id
                          and e.model_id = _basis_switch.model_id and e.artifact_id = p.artifact_id));
    delete from hartonomous.embedding_basis as b
    where b.tenant_id = _basis_switch.tenant_id and b.model_id = _basis_switch.model_id and b.current;
    update hartonomous.embedding_basis as b set current = true, current_at = clock_timestamp(), filled_to = null, variance_now = b.variance
    where b.tenant_id = _basis_switch.tenant_id and b.model_id = _basis_switch.model_id;
end
$$;
comment on function hartonomous._basis_switch(int, bigint) is
'Makes the basis to come the current one when all have a place by it. Those who store embeddings wait meanwhile; 55P03 when they have been at it for 10 seconds.';

create or replace function hartonomous._basis_started(tenant_id int, model_id bigint) returns boolean
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    if (hartonomous._basis_coming(tenant_id, model_id)).version is null then
        if not hartonomous._basis_wanted(tenant_id, model_id) then
            return false;
        end if;
        perform hartonomous._basis_begin(tenant_id, model_id);
    end if;
    return true;
end
$$;
comment on function hartonomous._basis_started(int, bigint) is
'Whether there is a basis to come, which is made here where one is wanted.';

create or replace function hartonomous._basis_prepare(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if current_setting('transaction_isolation') <> 'read committed' then  -- rows written meanwhile would be missed
        return;
    elsif not hartonomous._basis_started(tenant_id, model_id) then
        return;
    end if;
    while not hartonomous._basis_fill(tenant_id, model_id, 50000) loop
    end loop;
end
$$;
comment on function hartonomous._basis_prepare(int, bigint) is
'Makes a basis to come where one is wanted, and all its places.';

create or replace function hartonomous._basis_finish(tenant_id int, model_id bigint, wait boolean) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if current_setting('transaction_isolation') = 'read committed' and (hartonomous._basis_coming(tenant_id, model_id)).version is not null
       and (wait or pg_try_advisory_xact_lock(hartonomous._basis_key(tenant_id, model_id))) then
        perform hartonomous._basis_switch(tenant_id, model_id);
    end if;
exception when lock_not_available or deadlock_detected then
    raise notice 'places stay as they are while others store embeddings' using hint = 'hartonomous.embedding_basis_refresh';
end
$$;
comment on function hartonomous._basis_finish(int, bigint, boolean) is
'Makes the basis to come, if there is one, the current one, unless those who store embeddings do so for longer than 10 seconds, or now, without wait.';

create or replace function hartonomous._basis_continue(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if (hartonomous._basis_coming(tenant_id, model_id)).version is not null
       and pg_try_advisory_xact_lock(hartonomous._analysis_lock(tenant_id, model_id))
       and hartonomous._basis_fill(tenant_id, model_id, 50000) then
        perform hartonomous._basis_finish(tenant_id, model_id, false);
    end if;
end
$$;
comment on function hartonomous._basis_continue(int, bigint) is
'Goes on with a change of basis that was begun and left.';

create or replace function hartonomous._basis_wanted(tenant_id int, model_id bigint) returns boolean
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return 100 <= (select count(*) from (select from hartonomous.atom_embedding as e where e.tenant_id = _basis_wanted.tenant_id
                                         and e.model_id = _basis_wanted.model_id limit 100) as enough)
       and (hartonomous._basis_drift(tenant_id, model_id) is not null
            or exists (select from hartonomous.embedding_basis as b where b.tenant_id = _basis_wanted.tenant_id and b.model_id = _basis_wanted.model_id
                       and b.current and b.made <> 'data'));
end
$$;
comment on function hartonomous._basis_wanted(int, bigint) is
'Whether a tenant''s places by a model would gain from another basis: the current one is not from data, or holds less of the variance than it did. Not below 100 embeddings.';

create or replace function hartonomous.embedding_basis_refresh(model text default null, batch int default 10000) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('embedding_analyze');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
begin
    if batch is null or batch not between 1 and 10000000 then
        raise exception 'batch is %, expected 1 to 10000000', coalesce(batch::text, 'NULL') using errcode = '22023';
    elsif current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the transaction is %, in which rows written meanwhile would be missed', current_setting('transaction_isolation')
            using errcode = '25001', hint = 'begin isolation level read committed';
    end if;
    perform pg_advisory_xact_lock(hartonomous._analysis_lock(tenant, target));
    if not hartonomous._basis_started(tenant, target) then
        return 0;
    elsif hartonomous._basis_fill(tenant, target, batch) then
        perform hartonomous._basis_switch(tenant, target);
        return 0;
    end if;
    return (select count(*) from hartonomous.atom_embedding as e
            where e.tenant_id = tenant and e.model_id = target and e.artifact_id > (hartonomous._basis_coming(tenant, target)).filled_to);
end
$$;
comment on function hartonomous.embedding_basis_refresh(text, int) is
'Chooses the three directions of places anew, from the own tenant''s embeddings by a model, where those are not from data yet or hold less than 80 % of the variance that they held; from 100 embeddings on. Writes new places beside the present ones, so many a call, and returns how many are left; with 0 they are current, and until then project, search_spatial and regions use the present ones. Repeat until it gives 0; a call that fails or is cancelled loses its own batch. embedding_model_analyze does all of it at once. NULL: the deployed default. Errors: ZH020 no such model, 22023 batch not 1 to 10000000, 25001 not in read committed, 55P03 and 40P01 others have been storing for 10 seconds, or wait for this: repeat. What is measured of the path place counts for the basis that it was measured with: call embedding_model_analyze after.';
