create or replace function hartonomous._search_check(k int, filter jsonb, as_of timestamptz, recall real) returns void
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if as_of is not null then
        perform hartonomous._history_check(as_of);
    end if;
    if k is null or k not between 1 and 10000 then
        raise exception 'k is %, expected 1 to 10000', coalesce(k::text, 'NULL') using errcode = '22023';
    elsif recall is null or not recall between 0 and 1 then
        raise exception 'recall is %, expected 0 to 1', coalesce(recall::text, 'NULL') using errcode = '22023';
    end if;
    if filter <> '{}' then
        perform hartonomous._filter_check(filter);
    end if;
end
$$;
comment on function hartonomous._search_check(int, jsonb, timestamptz, real) is 'Checks the arguments that all searches share.';

create or replace function hartonomous._snippet(body text, length int default 240) returns text
language sql immutable parallel safe
return case when char_length(regexp_replace(_snippet.body, '\s+', ' ', 'g')) <= _snippet.length
            then regexp_replace(_snippet.body, '\s+', ' ', 'g')
            else left(regexp_replace(left(_snippet.body, 4 * _snippet.length), '\s+', ' ', 'g'), _snippet.length - 3) || '...' end;
comment on function hartonomous._snippet(text, int) is 'The beginning of a text on one line, at most length characters.';

create or replace function hartonomous._embedding_tenants(tenant_id int, model_id bigint) returns int[]
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    owner int;
begin
    select m.tenant_id into owner from hartonomous.model as m where m.model_id = _embedding_tenants.model_id;
    return case when owner = 0 and _embedding_tenants.tenant_id <> 0 then array[_embedding_tenants.tenant_id, 0] else array[_embedding_tenants.tenant_id] end;
end
$$;
comment on function hartonomous._embedding_tenants(int, bigint) is
'Whose embeddings by a model a tenant sees: its own, and those of tenant 0 by a model of tenant 0.';

create or replace function hartonomous._embedding_mixed(tenant_id int, model_id bigint) returns int[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
begin
    return (select array_agg(s.seen)
            from hartonomous.model as m cross join lateral unnest(case m.tenant_id when _embedding_mixed.tenant_id then array[m.tenant_id] else array[m.tenant_id, _embedding_mixed.tenant_id] end) as s (seen)
            where m.model_id = _embedding_mixed.model_id
              and (exists (select from hartonomous.atom_embedding as e
                           where e.model_id = m.model_id and e.tenant_id = s.seen and e.model_state < hartonomous._state_id(m.state_hash))
                   or exists (select from hartonomous.atom_embedding as e
                              where e.model_id = m.model_id and e.tenant_id = s.seen and e.model_state > hartonomous._state_id(m.state_hash))));
end
$$;
comment on function hartonomous._embedding_mixed(int, bigint) is
'Of those whose embeddings by a model a tenant sees, those with some by other weights than it has now; NULL: none.';

create or replace function hartonomous._embedding_mixed_tell(tenant_id int, model_id bigint) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
declare
    mixed constant int[] := hartonomous._embedding_mixed(tenant_id, model_id);
    seen int;
    name text;
begin
    foreach seen in array coalesce(mixed, '{}') loop
        select m.name || '@' || m.version into name from hartonomous.model as m where m.model_id = _embedding_mixed_tell.model_id;
        raise notice 'some embeddings% are by other weights than model % has now', case when seen <> tenant_id then ' of everybody' else '' end,
            quote_literal(name) using hint = format('repeat select hartonomous.embed_artifacts(hartonomous.embedding_pending(%1$L), %1$L) until it gives 0', name);
    end loop;
end
$$;
comment on function hartonomous._embedding_mixed_tell(int, bigint) is
'A notice when a search compares embeddings by different weights of a model.';

create or replace function hartonomous._search_vector_check(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, as_of timestamptz, recall real) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    if hartonomous._masked(tenant_id, 'search') then
        perform hartonomous._filter_mask_check(tenant_id, filter);
    end if;
    if query is null then
        raise exception 'query is NULL' using errcode = '22004', hint = 'embed a text with hartonomous.embed';
    end if;
    perform hartonomous._dimensions_check(model_id, query);
end
$$;
comment on function hartonomous._search_vector_check(int, bigint, @extschema:vector@.vector, int, jsonb, timestamptz, real) is
'Checks the arguments of a search by a vector.';

create or replace function hartonomous._after_check(after_score real, after_id bigint) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    if after_score = 'NaN' or (after_score is null) <> (after_id is null) then
        raise exception 'after_score is % and after_id %, expected both of the last row of a page, or none', coalesce(after_score::text, 'NULL'),
            coalesce(after_id::text, 'NULL') using errcode = '22023';
    end if;
end
$$;
comment on function hartonomous._after_check(real, bigint) is '22023 unless a score and an id of the last row of a page are given, or neither.';

create or replace function hartonomous._search_rows(
    tenant_id int, ids bigint[], scores double precision[], k int, filter jsonb, masked boolean, exact boolean, recall real, snippets boolean)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    told constant text := case when coalesce(cardinality(ids), 0) < k then 'short' when exact then 'exact' else 'recall>=' || recall end;
begin
    if not snippets then  -- a fifth of a millisecond less than with what a join would need
        return query
        select i.artifact_id, case when not masked then i.score::real end, null::text, null::text, told
        from unnest(ids, scores) as i (artifact_id, score) order by i.score desc, i.artifact_id limit _search_rows.k;
        return;
    end if;
    return query
    select n.artifact_id, case when not masked then n.score::real end, hartonomous._mask_text(masked, s.source_uri),
           hartonomous._mask_text(masked, s.snippet), told
    from (select i.artifact_id, i.score from unnest(ids, scores) as i (artifact_id, score)
          order by i.score desc, i.artifact_id limit _search_rows.k) as n
    left join lateral (
        select o.source_uri, hartonomous._snippet(a.canonical_text) as snippet
        from hartonomous.artifact as a
        left join hartonomous.artifact_source as o
          on o.tenant_id = a.tenant_id and o.artifact_id = a.artifact_id and hartonomous._occurrence_match(o, _search_rows.filter)
        where a.tenant_id in (0, _search_rows.tenant_id) and a.artifact_id = n.artifact_id
        order by o.source_uri collate "C" limit 1) as s on true
    order by n.score desc, n.artifact_id;
end
$$;
comment on function hartonomous._search_rows(int, bigint[], double precision[], int, jsonb, boolean, boolean, real, boolean) is
'What a search returns of the artifacts it found: the k best, masked or not, with the first occurrence that matches the filter.';

create or replace function hartonomous._nearest_page(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, recall real, after_score real, after_id bigint,
    out ids bigint[], out distances double precision[], out exact boolean)
language plpgsql stable parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    -- the score that a page shows is rounded
    after constant double precision := coalesce(
        (select s.similarity from hartonomous._similarities(tenant_id, model_id, query, array[after_id]) as s), after_score);
    depth int := 2 * k;
    cut   boolean;
    seen  int;
    part  record;
    rest  record;
begin
    loop
        ids := null;
        distances := null;
        exact := true;
        cut := false;
        foreach seen in array hartonomous._embedding_tenants(tenant_id, model_id) loop
            part := hartonomous._nearest_sampled(tenant_id, seen, model_id, query, depth, filter, recall);
            select array_agg(n.id) as ids, array_agg(n.distance) as distances into rest
            from unnest(part.ids, part.distances) as n (id, distance) where 1 - n.distance < after or 1 - n.distance = after and n.id > after_id;
            ids := ids || rest.ids;
            distances := distances || rest.distances;
            exact := exact and part.exact;
            cut := cut or coalesce(cardinality(part.ids), 0) = depth and coalesce(cardinality(rest.ids), 0) < k;
        end loop;
        exit when not cut;
        depth := 4 * depth;
    end loop;
end
$$;
comment on function hartonomous._nearest_page(int, bigint, @extschema:vector@.vector, int, jsonb, real, real, bigint) is
'The k nearest to a vector after a score and an id, of a tenant''s own and of what everybody sees each.';

create or replace function hartonomous.search_vector(
    query @extschema:vector@.vector, k int default 10, model text default null, filter jsonb default '{}', as_of timestamptz default null,
    recall real default 0.95, snippets boolean default true, after_score real default null, after_id bigint default null)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := case when as_of is null then hartonomous._model_id(tenant, model, 'embedding') end;
    wanted constant jsonb := coalesce(filter, '{}');
    masked constant boolean := hartonomous._masked(tenant, 'search');
    seen   int;
    part   record;
    whole  boolean := true;
    ids    bigint[];
    distances double precision[];
begin
    perform hartonomous._search_vector_check(tenant, target, query, k, filter, as_of, recall);
    if after_score is not null or after_id is not null then
        perform hartonomous._page_check(tenant, masked, after_score, after_id);
    end if;
    if as_of is not null then
        return query select r.* from hartonomous._search_vector_at(
            tenant, query, k, model, wanted, masked, as_of, snippets, after_score => search_vector.after_score, after_id => search_vector.after_id) as r;
        return;
    end if;
    perform hartonomous._embedding_mixed_tell(tenant, target);
    if after_id is not null then
        select n.ids, n.distances, n.exact into ids, distances, whole
        from hartonomous._nearest_page(tenant, target, query, k, wanted, recall, after_score, after_id) as n;
    else
        foreach seen in array hartonomous._embedding_tenants(tenant, target) loop
            part := hartonomous._nearest_sampled(tenant, seen, target, query, k, wanted, recall);
            ids := ids || part.ids;
            distances := distances || part.distances;
            whole := whole and part.exact;
        end loop;
    end if;
    return query select r.* from hartonomous._search_rows(tenant, ids, array(select 1 - d from unnest(distances) as d), k, wanted, masked, whole, recall, snippets) as r;
end
$$;
comment on function hartonomous.search_vector(@extschema:vector@.vector, int, text, jsonb, timestamptz, real, boolean, real, bigint) is
'Artifacts whose embeddings are nearest to a vector; score: cosine similarity. recall: the least share of the true k nearest that is found, on average over queries; 1 compares all. verdict: exact, recall>=R where fewer candidates met R when hartonomous.embedding_model_analyze last measured the model, or short when fewer than k exist. Equally near ones come by id. For the next page give score and id of the last row as after_score and after_id: what is nearest after it, as exactly as it was asked for before. snippets false: source_uri and snippet are NULL, which saves reading the texts. A notice tells of embeddings by other weights than the model has now. as_of: among what was there at a time, all of which is compared (see search). Other columns and errors as search, and ZH040 for wrong dimensions or the zero vector, 22023 for one of after_score and after_id without the other, ZH002 for them where scores are masked.';
