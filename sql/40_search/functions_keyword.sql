create or replace function hartonomous._phrase_query(tenant_id int, phrase text) returns text
language sql stable parallel safe
return (
    select string_agg(case when w.gap is null then '' else format(' <%s> ', w.gap) end || w.keys, '' order by w.position)
    from (
        select u.position, u.position - lag(u.position) over (order by u.position) as gap,
               '(' || string_agg(hartonomous._word_key(_phrase_query.tenant_id, ':', s.lexeme), ' | ') || ')' as keys
        from unnest(to_tsvector('pg_catalog.english'::regconfig, _phrase_query.phrase)) as s cross join unnest(s.positions) as u (position)
        where octet_length(s.lexeme) <= 200
        group by u.position) as w
);
comment on function hartonomous._phrase_query(int, text) is 'The words of a phrase, one after the other, as text of a tsquery over the keys of a tenant; NULL without words.';

create or replace function hartonomous._prefix_query(tenant_id int, beginning text) returns text
language sql stable parallel safe
return (
    select concat_ws(' & ', '(' || hartonomous._phrase_query(_prefix_query.tenant_id, string_agg(w.lexeme, ' ' order by w.position) filter (where w.position < w.last)) || ')',
                     max(hartonomous._word_key(_prefix_query.tenant_id, '=', w.lexeme)) filter (where w.position = w.last) || ':*')
    from (select s.lexeme, u.position, max(u.position) over () as last
          from unnest(to_tsvector('pg_catalog.simple'::regconfig, _prefix_query.beginning)) as s cross join unnest(s.positions) as u (position)
          where octet_length(s.lexeme) <= 200) as w having count(*) > 0
);
comment on function hartonomous._prefix_query(int, text) is
'A word that begins so (and the words before it, when the parser takes the beginning apart) as text of a tsquery over the keys of a tenant; NULL without words.';

create or replace function hartonomous._term_key(term text) returns text
language sql immutable parallel safe
return (select string_agg(s.lexeme, ' ' order by s.positions[1]) from unnest(to_tsvector('pg_catalog.english'::regconfig, _term_key.term)) as s);
comment on function hartonomous._term_key(text) is 'A term as search_synonym has it: its stemmed words in order; NULL without words.';

create or replace function hartonomous._query_parts(query text)
returns table (number int, kind text, given text, beginning boolean)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select p.number::int, case when '-' in (p.found[1], p.found[3]) then 'not' when p.found[2] is not null then 'must' else 'any' end,
           coalesce(p.found[2], p.found[4]), coalesce(p.found[4] ~ '\w\*$', false)
    from regexp_matches(left(_query_parts.query, 2000), '(-?)"([^"]*)"|(-?)(\S+)', 'g') with ordinality as p (found, number);
end;
comment on function hartonomous._query_parts(text) is
'What a query asks for: words, any of which may stand there; "phrases", which must; with - before what must not; with * after a word''s beginning. Its first 2,000 characters count.';

create or replace function hartonomous._query_terms(tenant_id int, query text)
returns table (number int, kind text, given text[], beginning boolean)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    numbers int[];
    keys    text[];
begin
    if not exists (select from hartonomous.search_synonym as s where s.tenant_id in (0, _query_terms.tenant_id)) then
        return query select p.number, p.kind, array[p.given], p.beginning from hartonomous._query_parts(query) as p;
        return;
    end if;
    select array_agg(p.number order by p.number), array_agg(k.key order by p.number) into numbers, keys
    from hartonomous._query_parts(query) as p cross join lateral hartonomous._term_key(p.given) as k (key)
    where p.kind = 'any' and not p.beginning and k.key is not null;
    return query
    with known as (  -- terms of up to five words that stand side by side; what a tenant says counts before what tenant 0 does
        select distinct on (i.first, i.words) i.first, i.words, s.synonyms
        from (select f.first, w.words, array_to_string(keys[f.first : f.first + w.words - 1], ' ') as term
              from generate_series(1, cardinality(keys)) as f (first) cross join generate_series(1, 5) as w (words)
              where f.first + w.words - 1 <= cardinality(keys)) as i
        join hartonomous.search_synonym as s on s.tenant_id in (0, _query_terms.tenant_id) and s.term = i.term
        order by i.first, i.words, s.tenant_id desc
    )
    select p.number, p.kind, p.given || coalesce(k.synonyms, '{}'), p.beginning
    from (select q.number, q.kind, array[q.given] as given, q.beginning from hartonomous._query_parts(query) as q) as p
    left join known as k on k.words = 1 and numbers[k.first] = p.number
    where not exists (select from known as o where o.synonyms = '{}' and p.number = any (numbers[o.first : o.first + o.words - 1]))
    union all
    select 10000 * k.words + k.first, 'any', k.synonyms, false from known as k where k.words > 1 and k.synonyms <> '{}';
end
$$;
comment on function hartonomous._query_terms(int, text) is
'What a query asks for, less what search_synonym passes over, and with what its terms also stand for.';

create or replace function hartonomous._keyword_query(
    tenant_id int, query text, out numbers int[], out kinds text[], out searches tsquery[], out stems text[], out beginnings text[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    with term as materialized (
        select t.* from hartonomous._query_terms(_keyword_query.tenant_id, _keyword_query.query) as t
    ), search as (  -- once for each of whom the tenant sees
        select min(t.number) over (partition by t.given, t.kind, t.beginning) as number, t.kind, o.owner, case when t.beginning
            then hartonomous._prefix_query(o.owner, t.given[1])
            else (select string_agg(hartonomous._phrase_query(o.owner, g.phrase), ' | ') from unnest(t.given) as g (phrase)) end::tsquery as search
        from term as t cross join (select distinct unnest(array[0, _keyword_query.tenant_id])) as o (owner)
    )
    select array_agg(s.number), array_agg(s.kind), array_agg(s.search) into numbers, kinds, searches
    from (select distinct s.number, s.kind, s.owner, s.search from search as s where s.search is not null) as s;
    select array_agg(distinct w.word) filter (where not t.beginning), array_agg(distinct b.word) filter (where t.beginning) into stems, beginnings
    from hartonomous._query_terms(_keyword_query.tenant_id, _keyword_query.query) as t
    cross join unnest(t.given) as g (phrase)
    left join lateral unnest(hartonomous._words(g.phrase)) as w (word) on not t.beginning
    left join lateral unnest(tsvector_to_array(to_tsvector('pg_catalog.simple'::regconfig, g.phrase))) as b (word) on t.beginning
    where t.kind <> 'not';
end
$$;
comment on function hartonomous._keyword_query(int, text) is
'A query as searches of the word index: for each term, by number, one over the keys of the tenant and one over those of tenant 0; and what to show of it in a text: stems, and beginnings of words.';

create or replace function hartonomous._artifact_count(tenant_id int) returns bigint
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
begin
    -- ids are permuted: the density of the first ones tells how many there are
    return (select case when count(*) < 256 then count(*) else 255 * (1::bigint << 40) / greatest(max(s.artifact_id), 1) end
            from (select a.artifact_id from hartonomous.artifact as a where a.tenant_id = _artifact_count.tenant_id order by a.artifact_id limit 256) as s);
end
$$;
comment on function hartonomous._artifact_count(int) is 'About how many artifacts a tenant has.';

create or replace function hartonomous._keyword_scores(tenant_id int, numbers int[], kinds text[], searches tsquery[])
returns table (artifact_id bigint, score double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    needed constant int := (select count(distinct t.number) from unnest(numbers, kinds) as t (number, kind) where t.kind = 'must');
    whole  constant bigint := hartonomous._artifact_count(tenant_id) + case when tenant_id = 0 then 0 else hartonomous._artifact_count(0) end;
begin
    return query
    with hit as (  -- the keys are of one tenant, so are the rows
        select t.number, t.kind, a.artifact_id, ts_rank('{1,1,1,1}', a.lexemes, t.search)::double precision as weight
        from unnest(numbers, kinds, searches) as t (number, kind, search)
        join hartonomous.artifact as a on a.lexemes @@ t.search
        where a.deleted_at is null
        union all
        select distinct t.number, t.kind, o.artifact_id, 0.3
        from unnest(numbers, kinds, searches) as t (number, kind, search)
        join hartonomous.artifact_source as o on hartonomous._heading_vector(o.tenant_id, o.metadata) @@ t.search
    ), posting as (
        select h.number, h.kind, h.artifact_id, sum(h.weight) as weight from hit as h group by h.number, h.kind, h.artifact_id
    ), rarity as (  -- what a word tells: the rarer the more
        select p.number, ln(1 + (greatest(whole - count(*), 0) + 0.5) / (count(*) + 0.5)) as weight from posting as p group by p.number
    )
    select p.artifact_id, sum(p.weight * r.weight)
    from posting as p join rarity as r on r.number = p.number
    group by p.artifact_id
    having count(*) filter (where p.kind = 'must') = needed and not bool_or(p.kind = 'not');
end
$$;
comment on function hartonomous._keyword_scores(int, int[], text[], tsquery[]) is
'Artifacts that have the words of a query (see _keyword_query): the sum over its terms of how rare a term is, and how often it stands in the text and over it.';

create or replace function hartonomous._live_among(tenant_id int, ids bigint[], filter jsonb, most int) returns bigint[]
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
begin
    if tenant_id = 0 then
        return hartonomous._filter_live(0, ids, filter, most);
    end if;
    return array(
        select w.id from unnest(ids) with ordinality as w (id, position)
        join (select unnest(hartonomous._filter_live(_live_among.tenant_id, ids, filter, most))
              union all select unnest(hartonomous._filter_live(0, ids, filter, most))) as l (id) on l.id = w.id
        order by w.position limit most);
end
$$;
comment on function hartonomous._live_among(int, bigint[], jsonb, int) is
'The first, at most so many, of given artifacts that a tenant sees, that are live and satisfy a filter, in the order given.';

create or replace function hartonomous._keyword_best(
    tenant_id int, query text, k int, filter jsonb, after_score real, after_id bigint, within bigint[], also bigint[],
    out ids bigint[], out scores double precision[], out also_scores double precision[], out stems text[], out beginnings text[])
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    asked  constant record := hartonomous._keyword_query(tenant_id, query);
    ranked bigint[];
    found_scores double precision[];
    take   bigint := ceil(1.5 * (k + 16));
begin
    stems := coalesce(asked.stems, '{}');
    beginnings := coalesce(asked.beginnings, '{}');
    select array_agg(s.artifact_id order by s.score desc, s.artifact_id), array_agg(s.score order by s.score desc, s.artifact_id) into ranked, found_scores
    from (select h.artifact_id, h.score::real as score from hartonomous._keyword_scores(tenant_id, asked.numbers, asked.kinds, asked.searches) as h) as s
    where (after_score is null or s.score < after_score or s.score = after_score and s.artifact_id > after_id)
      and (within is null or s.artifact_id in (select w.id from unnest(within) as w (id)));
    loop
        ids := hartonomous._live_among(tenant_id, ranked[:take], filter, k);
        exit when cardinality(ids) = k or take >= coalesce(cardinality(ranked), 0);
        take := take * 4;
    end loop;
    select array_agg(r.score order by w.position) into scores
    from unnest(ids) with ordinality as w (id, position) join unnest(ranked, found_scores) as r (id, score) on r.id = w.id;
    select array_agg(coalesce(r.score, 0) order by w.position) into also_scores
    from unnest(also) with ordinality as w (id, position) left join unnest(ranked, found_scores) as r (id, score) on r.id = w.id;
end
$$;
comment on function hartonomous._keyword_best(int, text, int, jsonb, real, bigint, bigint[], bigint[]) is
'The k best for the words of a query that satisfy a filter, come after a score and an id, and are within given artifacts (NULL: all); scores of others (also); and what to show of the query.';

create or replace function hartonomous._highlight(body text, words tsvector, stems text[], beginnings text[]) returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    hits text[] := array(
        select w.word from unnest(hartonomous._surface_words(words)) as w (word)
        where ts_lexize('pg_catalog.english_stem'::regdictionary, w.word) && stems or w.word = any (stems)
           or exists (select from unnest(beginnings) as b (beginning) where starts_with(w.word, b.beginning))
        order by char_length(w.word) desc);
    shown constant text := hartonomous._headline(body, hartonomous._words(array_to_string(hits, ' ')));
begin
    return case when hits = '{}' then shown else replace(regexp_replace(
        shown, '(?<![[:alnum:]])(' || array_to_string(array(select regexp_replace(h, '(\W)', '\\\1', 'g') from unnest(hits) as h), '|') || ')(?![[:alnum:]])',
        '**\1**', 'gi'), '**_**', '_') end;
end
$$;
comment on function hartonomous._highlight(text, tsvector, text[], text[]) is
'A text from its sentence with most of the words of a query on, on one line, those words **marked**.';

create or replace function hartonomous.search_keyword(
    query text, k int default 10, model text default null, filter jsonb default '{}', as_of timestamptz default null,
    recall real default 0.95, after_score real default null, after_id bigint default null)
returns table (artifact_id bigint, score real, source_uri text, snippet text, verdict text)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    wanted constant jsonb := coalesce(filter, '{}');
    found  record;
begin
    perform hartonomous._search_check(k, filter, as_of, recall);
    perform hartonomous._after_check(after_score, after_id);
    if hartonomous._masked(tenant, 'search') then
        perform hartonomous._mask_refuse(tenant, 'search', 'words of texts');
    elsif query is null then
        raise exception 'query is NULL' using errcode = '22004', hint = 'give words to search for';
    elsif model is not null and as_of is null then
        perform hartonomous._model_id(tenant, model, 'embedding');
    elsif as_of is not null then
        if model is not null then
            perform hartonomous._search_model_at(tenant, model, as_of, null);
        end if;
        found := hartonomous._keyword_best_at(tenant, query, k, wanted, after_score, after_id, null, null, as_of);
        return query
        select r.* from hartonomous._highlights_at(tenant, found.ids, found.scores, k, wanted, as_of, found.stems, found.beginnings) as r;
        return;
    end if;
    found := hartonomous._keyword_best(tenant, query, k, wanted, after_score, after_id, null, null);
    return query
    select r.artifact_id, r.score, r.source_uri, hartonomous._highlight(a.canonical_text, a.lexemes, found.stems, found.beginnings), r.verdict
    from hartonomous._search_rows(tenant, found.ids, found.scores, k, wanted, false, true, recall, true) as r
    join hartonomous.artifact as a on a.tenant_id in (0, tenant) and a.artifact_id = r.artifact_id
    order by r.score desc, r.artifact_id;
end
$$;
comment on function hartonomous.search_keyword(text, int, text, jsonb, timestamptz, real, real, bigint) is
'Artifacts whose texts or headings have the words of a query, best first. Any of the words will do; a "phrase in quotes" must be there, what has - before it must not, and word* is any word that begins so. Words are stemmed (but for word*), synonyms of synonym_put count as the word. score: the sum over the words of how rare each is, times how often it stands in the text (once is 0.6, at most 1) and over it (0.3); equal ones come by id. For the next page give score and id of the last row as after_score and after_id. snippet: words found are **marked**. verdict: exact, or short when fewer than k are left. model and recall, which other searches have, change nothing here. The first 2,000 characters of the query and 100,000 of a text count. as_of: the texts and headings of a time (see search). Errors: ZH020 no such model, ZH041 filter, ZH002 masked, 22023 k, recall or after, 22004 NULL query, ZH008 as_of before what is kept of the history.';
