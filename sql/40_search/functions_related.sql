create or replace function hartonomous._word_rarity(tenant_id int) returns table (word text, weight double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
    with sample as (  -- ids are permuted: the first ones are a random sample
        select o.owner, s.lexemes
        from (select distinct unnest(array[0, _word_rarity.tenant_id])) as o (owner)
        cross join lateral (select a.lexemes from hartonomous.artifact as a where a.tenant_id = o.owner and a.deleted_at is null and a.lexemes is not null
                            order by a.artifact_id limit 256) as s
    )
    select substr(k.key, strpos(k.key, ':') + 1), ln((select count(*) + 1 from sample) / count(*)::double precision)
    from sample as s cross join lateral unnest(tsvector_to_array(s.lexemes)) as k (key)
    where k.key ~ '^\d+:' group by 1;
end
$$;
comment on function hartonomous._word_rarity(int) is
'Stems in a random sample of up to 256 texts of a tenant, and as many of tenant 0, and what each tells: the logarithm of how many texts have one with it. A word that is not there tells most.';

create or replace function hartonomous._artifact_parts(tenant_id int, artifact_id bigint) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    owner constant int := (hartonomous._artifact_root(tenant_id, artifact_id)).owner_id;
    parts bigint[];
begin
    if (select a.lexemes from hartonomous.artifact as a where a.tenant_id = owner and a.artifact_id = _artifact_parts.artifact_id) is null then
        parts := array(
            select a.artifact_id from hartonomous.graph_edge as e
            join hartonomous.artifact as a on a.tenant_id = owner and a.artifact_id = e.from_id
            where e.to_type = 'artifact' and e.to_id = _artifact_parts.artifact_id and e.from_type = 'artifact' and e.relation = 'ComponentOf'
              and e.tenant_id = owner and a.deleted_at is null
            order by a.artifact_id limit 500);
    end if;
    return coalesce(nullif(parts, '{}'), array[artifact_id]);
end
$$;
comment on function hartonomous._artifact_parts(int, bigint) is
'An artifact, or its passages when it has no text itself, at most 500. ZH010 unless the tenant sees it.';

create or replace function hartonomous._keyword_alike(tenant_id int, among bigint[], out numbers int[], out kinds text[], out searches tsquery[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    most constant int := 12;  -- more words tell hardly more, and each costs its postings
begin
    select array_agg(t.number), array_agg('any'::text), array_agg(hartonomous._word_key(o.owner, ':', t.word)::tsquery) into numbers, kinds, searches
    from (select row_number() over (order by w.times * coalesce(r.weight, 7) desc, w.word)::int as number, w.word
          from (select substr(k.lexeme, strpos(k.lexeme, ':') + 1) as word, 1 + ln(sum(cardinality(k.positions))) as times
                from hartonomous.artifact as a cross join lateral unnest(a.lexemes) as k
                where a.tenant_id in (0, _keyword_alike.tenant_id) and a.artifact_id = any (among) and k.lexeme ~ '^\d+:'
                group by 1) as w
          left join hartonomous._word_rarity(tenant_id) as r on r.word = w.word
          order by 1 limit most) as t
    cross join (select distinct unnest(array[0, _keyword_alike.tenant_id])) as o (owner);
end
$$;
comment on function hartonomous._keyword_alike(int, bigint[]) is
'The words that tell most of some artifacts, frequent in them and rare elsewhere, as searches of the word index.';

create or replace function hartonomous._graph_near(tenant_id int, among bigint[]) returns table (id bigint, hops int)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    most  constant int := 500;
    reached bigint[] := among;
    edge  bigint[] := among;
begin
    for step in 1 .. 2 loop
        edge := array(
            select distinct n.id
            from unnest(edge) as f (id)
            cross join lateral (
                (select e.to_id from hartonomous.graph_edge as e
                 where e.from_type = 'artifact' and e.from_id = f.id and e.to_type = 'artifact' and e.tenant_id in (0, _graph_near.tenant_id) limit most)
                union all
                (select e.from_id from hartonomous.graph_edge as e
                 where e.to_type = 'artifact' and e.to_id = f.id and e.from_type = 'artifact' and e.tenant_id in (0, _graph_near.tenant_id) limit most)) as n (id)
            where n.id <> all (reached) order by n.id limit most);
        reached := reached || edge;
        return query select u.id, step from unnest(edge) as u (id);
    end loop;
end
$$;
comment on function hartonomous._graph_near(int, bigint[]) is
'Artifacts one or two edges of the graph away, in either direction: a passage''s document, and its other passages; at most 500 of each.';

create or replace function hartonomous.related(
    artifact_id bigint, k int default 10, model text default null, filter jsonb default '{}', as_of timestamptz default null, recall real default 0.95)
returns setof hartonomous.search_result
language plpgsql stable parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    wanted constant jsonb := coalesce(filter, '{}');
    masked constant boolean := hartonomous._masked(tenant, 'search');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
    depth  int;
    among  bigint[];
    direction @extschema:vector@.vector;
    near   record;
    words  bigint[];
    edges  bigint[];
    best   record;
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    if as_of is not null then
        perform hartonomous._not_yet('as_of');
    end if;
    if masked then
        perform hartonomous._filter_mask_check(tenant, filter);
    end if;
    among := hartonomous._artifact_parts(tenant, related.artifact_id);
    perform hartonomous._embedding_mixed_tell(tenant, target);
    depth := k + 100 + cardinality(among);
    direction := (select @extschema:vector@.avg(e.embedding) from hartonomous.atom_embedding as e
                  where e.tenant_id in (0, tenant) and e.model_id = target and e.artifact_id = any (among));
    if @extschema:vector@.vector_norm(direction) > 0 then
        near := hartonomous._vector_leg(tenant, target, direction, depth, wanted, recall, null);
    else
        select null::bigint[] as ids, true as exact into near;
    end if;
    words := (select array_agg(s.artifact_id order by s.score desc, s.artifact_id)
              from hartonomous._keyword_alike(tenant, among) as a cross join lateral hartonomous._keyword_scores(tenant, a.numbers, a.kinds, a.searches) as s);
    edges := (select array_agg(g.id order by g.hops, s.similarity desc nulls last, g.id)
              from (select n.id, n.hops from hartonomous._graph_near(tenant, among) as n) as g
              left join hartonomous._similarities(tenant, target, direction, array(select n.id from hartonomous._graph_near(tenant, among) as n)) as s on s.id = g.id);
    select array_agg(f.id) as ids, array_agg(f.score) as scores into best
    from (select r.id, sum(1 / (60::double precision + r.place)) as score
          from (select n.id, n.place from unnest(near.ids) with ordinality as n (id, place)
                union all select w.id, w.place from unnest(hartonomous._live_among(tenant, words[:16 * depth], wanted, depth)) with ordinality as w (id, place)
                union all select e.id, e.place from unnest(hartonomous._live_among(tenant, edges, wanted, depth)) with ordinality as e (id, place)) as r
          where r.id <> related.artifact_id and r.id <> all (among)
          group by r.id) as f;
    return query select r.* from hartonomous._search_rows(tenant, best.ids, best.scores, k, wanted, masked, near.exact, recall, true) as r;
end
$$;
comment on function hartonomous.related(bigint, int, text, jsonb, timestamptz, real) is
'What belongs with an artifact, best first: near to it in meaning (by its embedding, that of a document the mean of its passages), with the twelve words that tell most of it, or at most two edges of the graph away, such as passages of the same document. score: reciprocal rank fusion, the sum of 1 / (60 + place) over the three lists. The artifact itself and a document''s own passages are left out. verdict speaks of the list by meaning; short: fewer than k were found. Columns and other errors as search_vector; ZH010 no such artifact, 0A000 as_of.';
