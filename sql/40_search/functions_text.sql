create or replace function hartonomous._search_text(
    tenant int, model_id bigint, words text[], direction @extschema:vector@.vector, k int, filter jsonb, within bigint[],
    after_score real, after_id bigint)
returns table (artifact_id bigint, score real, source_uri text)
language sql stable parallel restricted
begin atomic
    -- each by itself: the planner takes the tenants of two tables for unrelated and would expect hardly a row of their join
    with embedded as materialized (
        select e.artifact_id, 1 - (e.embedding operator(@extschema:vector@.<=>) _search_text.direction) as similarity
        from hartonomous.atom_embedding as e
        where e.tenant_id in (0, _search_text.tenant) and e.model_id = _search_text.model_id and _search_text.within is null
        union all
        select e.artifact_id, 1 - (e.embedding operator(@extschema:vector@.<=>) _search_text.direction)
        from unnest(_search_text.within) as w (artifact_id)
        join hartonomous.atom_embedding as e
          on e.tenant_id in (0, _search_text.tenant) and e.artifact_id = w.artifact_id and e.model_id = _search_text.model_id
    ), live as materialized (
        select a.artifact_id from hartonomous.artifact as a
        where a.tenant_id in (0, _search_text.tenant) and a.deleted_at is null and _search_text.within is null
        union all
        select a.artifact_id from unnest(_search_text.within) as w (artifact_id)
        join hartonomous.artifact as a on a.tenant_id in (0, _search_text.tenant) and a.artifact_id = w.artifact_id
        where a.deleted_at is null and hartonomous._filter_match(a, _search_text.filter)
    ), occurrence as materialized (
        select o.artifact_id, o.artifact_source_id, hashtextextended(coalesce(o.document_uri, o.source_uri), o.tenant_id) as document
        from hartonomous.artifact_source as o
        where o.tenant_id in (0, _search_text.tenant) and _search_text.within is null
          and (_search_text.filter = '{}' or o.artifact_source_id in (  -- apart, so that whole rows are read for a filter only
              select n.artifact_source_id
              from hartonomous.artifact as m
              join hartonomous.artifact_source as n on n.tenant_id = m.tenant_id and n.artifact_id = m.artifact_id
              where m.tenant_id in (0, _search_text.tenant)
                and hartonomous._filter_match(m, _search_text.filter) and hartonomous._occurrence_match(n, _search_text.filter)))
        union all
        select o.artifact_id, o.artifact_source_id, hashtextextended(coalesce(o.document_uri, o.source_uri), o.tenant_id)
        from unnest(_search_text.within) as w (artifact_id)
        join hartonomous.artifact_source as o on o.tenant_id in (0, _search_text.tenant) and o.artifact_id = w.artifact_id
        where hartonomous._occurrence_match(o, _search_text.filter)
    ), candidate as materialized (
        select e.artifact_id, o.artifact_source_id, e.similarity, o.document
        from embedded as e
        join live as l on l.artifact_id = e.artifact_id
        join occurrence as o on o.artifact_id = e.artifact_id
    ), posting as materialized (
        select w.lexeme, a.artifact_id
        from unnest(_search_text.words) as w (lexeme)
        join hartonomous.artifact as a
          on a.lexemes @@ (hartonomous._word_key(0, ':', w.lexeme) || ' | ' || hartonomous._word_key(_search_text.tenant, ':', w.lexeme))::tsquery
        where a.deleted_at is null
    ), hit as materialized (
        select p.lexeme, c.artifact_id, c.document from posting as p join candidate as c on c.artifact_id = p.artifact_id
    ), word as (  -- what a word tells: the rarer the more
        select h.lexeme, ln(1 + (t.n - count(*) + 0.5::double precision) / (count(*) + 0.5::double precision)) as weight
        from hit as h cross join (select count(*) from candidate) as t (n) group by h.lexeme, t.n
    ), share as (
        select w.lexeme, w.weight / sum(w.weight) over () as part from word as w
    ), passage_words as (
        select h.artifact_id, h.document, sum(s.part) as covered
        from hit as h join share as s on s.lexeme = h.lexeme group by h.artifact_id, h.document
    ), document_words as (
        select h.document, sum(s.part) as covered
        from (select distinct h.document, h.lexeme from hit as h) as h join share as s on s.lexeme = h.lexeme group by h.document
    ), document_score as (
        select d.document, 0.2 * d.similarity + 0.1 * coalesce(w.covered, 0) as score
        from (select c.document, avg(c.similarity) as similarity from candidate as c group by c.document) as d
        left join document_words as w on w.document = d.document
    ), ranked as materialized (  -- as scores are given out, so that a page begins after the last row whatever plan adds them up
        select c.artifact_id, c.artifact_source_id, c.document,
               (0.5 * c.similarity + 0.2 * coalesce(w.covered, 0) + d.score)::real as score
        from candidate as c
        join document_score as d on d.document = c.document
        left join passage_words as w on w.artifact_id = c.artifact_id and w.document = c.document
    ), bar as (  -- the best of so many documents are k artifacts at least, so what scores less is out
        select max(r.score) as score from ranked as r group by r.document
        having _search_text.after_score is null or max(r.score) < _search_text.after_score
        order by score desc
        offset _search_text.k - 1 + (select count(*) - count(distinct c.artifact_id) from candidate as c) limit 1
    ), spread as (
        select r.artifact_id, r.artifact_source_id,
               (r.score - 0.1 * (row_number() over (partition by r.document order by r.score desc, r.artifact_id) - 1))::real as score
        from ranked as r where r.score >= coalesce((select b.score from bar as b), '-infinity')
    ), best as (
        select distinct on (s.artifact_id) s.artifact_id, s.score, o.source_uri
        from spread as s
        join hartonomous.artifact_source as o
          on o.tenant_id in (0, _search_text.tenant) and o.artifact_id = s.artifact_id and o.artifact_source_id = s.artifact_source_id
        order by s.artifact_id, s.score desc, o.source_uri collate "C"
    )
    select b.artifact_id, b.score, b.source_uri from best as b
    where _search_text.after_score is null or b.score < _search_text.after_score
       or b.score = _search_text.after_score and b.artifact_id > _search_text.after_id
    order by b.score desc, b.artifact_id limit _search_text.k;
end;
comment on function hartonomous._search_text(int, bigint, text[], @extschema:vector@.vector, int, jsonb, bigint[], real, bigint) is
'The k best occurrences for a text after a score and an id (NULL: from the first): half similarity, 0.2 share of the query''s words, 0.2 mean similarity and 0.1 share of words of the whole document; less 0.1 for each better passage of the same document. within: what _filter_candidates found, NULL for all.';

create or replace function hartonomous._headline(body text, words text[]) returns text
language sql stable parallel safe
begin atomic
    with sentence as materialized (
        select s.text, s.ord,
               (select count(*) from unnest(hartonomous._words(s.text)) as w (word) where w.word = any (_headline.words)) as known
        from regexp_split_to_table(left(_headline.body, 20000), '(?<=[.!?:])\s+|\s*\n\s*') with ordinality as s (text, ord)
    )
    select hartonomous._snippet(string_agg(s.text, ' ' order by s.ord))
    from sentence as s where s.ord >= (select b.ord from sentence as b order by b.known desc, b.ord limit 1);
end;
comment on function hartonomous._headline(text, text[]) is
'A text from its sentence with most of some words on, on one line; from its beginning when it has none.';

create or replace function hartonomous._page_check(tenant_id int, masked boolean, after_score real, after_id bigint) returns void
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._after_check(after_score, after_id);
    if masked and after_id is not null then
        perform hartonomous._mask_refuse(tenant_id, 'search', 'scores');
    end if;
end
$$;
comment on function hartonomous._page_check(int, boolean, real, bigint) is '_after_check, and ZH002 for a page after a score where scores are masked.';

create or replace function hartonomous.search(
    query text, k int default 10, model text default null, filter jsonb default '{}', as_of timestamptz default null, recall real default 0.95,
    after_score real default null, after_id bigint default null)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
set jit = off as $$  -- compiling took half of the time, once estimates passed jit_above_cost
declare
    tenant constant int := hartonomous._permit_read('search');
    target    bigint;
    direction @extschema:vector@.vector;
    words     constant text[] := hartonomous._words(query);
    masked    constant boolean := hartonomous._masked(tenant, 'search');
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    perform hartonomous._page_check(tenant, masked, after_score, after_id);
    if masked then
        perform hartonomous._filter_mask_check(tenant, filter);
    end if;
    if query is null then
        raise exception 'query is NULL' using errcode = '22004', hint = 'give a text to search for';
    end if;
    if as_of is not null then
        return query select r.* from hartonomous._search_at(tenant, query, k, model, words, coalesce(filter, '{}'), masked, as_of, after_score, after_id) as r;
        return;
    end if;
    target := hartonomous._model_route(tenant, model, 'embedding', query);
    direction := hartonomous._vector((hartonomous._embed(target, array[query], 'query'))[1]);  -- one call, one permit: embed would ask again
    perform hartonomous._embedding_mixed_tell(tenant, target);
    return query
    select s.artifact_id, case when not masked then s.score end, hartonomous._mask_text(masked, s.source_uri),
           hartonomous._mask_text(masked, hartonomous._headline(a.canonical_text, words)),
           case when count(*) over () < search.k then 'short' else 'exact' end
    from hartonomous._search_text(tenant, target, words, direction, search.k, coalesce(filter, '{}'),
                                  hartonomous._filter_candidates(tenant, coalesce(filter, '{}')), after_score, after_id) as s
    join hartonomous.artifact as a on a.tenant_id in (0, tenant) and a.artifact_id = s.artifact_id
    order by s.score desc, s.artifact_id;
end
$$;
comment on function hartonomous.search(text, int, text, jsonb, timestamptz, real, real, bigint) is
'Artifacts that answer a text, by meaning and by words, best first. score, at most 1: half cosine similarity, 0.2 share of the query''s words (stemmed, rare ones count more) in the artifact, 0.2 mean similarity and 0.1 share of words of the document it stands in, less 0.1 for each better passage of that document. Every artifact with an embedding by the model is scored: verdict is exact, or short when fewer than k exist. Equal ones come by id. For the next page give score and id of the last row as after_score and after_id: pages make up what one call for all of them finds. source_uri: the best occurrence that matches the filter. For cosine similarity alone use search_vector(embed(query)). A notice tells of embeddings by other weights than the model has now. k: 1 to 10000. as_of: what was committed at a time counts, the artifacts, occurrences and embeddings that were there and the model that the name meant, with the weights that it had. Errors: ZH020 no such model, ZH041 filter, 22023 k, recall or one of after_score and after_id without the other, ZH002 these where scores are masked, 22004 NULL query, ZH008 as_of before what is kept of the history.';
