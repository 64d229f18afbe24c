create or replace function hartonomous._words_beginning(tenant_id int, beginning text, before text[])
returns table (word text, share double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    owners constant int[] := array(select distinct unnest(array[0, tenant_id]));
    search constant tsquery := (
        select string_agg('(' || concat_ws(' & ', hartonomous._word_key(o, '=', beginning) || ':*',
                                           (select string_agg(hartonomous._word_key(o, '=', b), ' & ') from unnest(before) as b)) || ')', ' | ')
        from unnest(owners) as o)::tsquery;
begin
    return query
    with sample as (select a.lexemes from hartonomous.artifact as a where a.lexemes @@ search and a.deleted_at is null limit 300)
    select w.word, count(*) / (select count(*) from sample)::double precision
    from sample as s cross join lateral unnest(hartonomous._surface_words(s.lexemes)) as w (word)
    where starts_with(w.word, beginning)
    group by w.word;
end
$$;
comment on function hartonomous._words_beginning(int, text, text[]) is
'Words that begin so in texts that a tenant sees and that have the words before, and in what share of at most 300 such texts each stands.';

create or replace function hartonomous._words_alike(tenant_id int, written text, k int)
returns table (word text, similarity double precision)
language plpgsql stable parallel restricted
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
    return query
    select c.word, c.similarity
    from (  -- as far as was written, since the rest is not wrong but missing
        select s.word, greatest(@extschema:pg_trgm@.similarity(s.word, _words_alike.written),
                                @extschema:pg_trgm@.similarity(left(s.word, char_length(_words_alike.written) + 1), _words_alike.written))::double precision as similarity
        from (select distinct v.word from hartonomous.search_word as v
              where hartonomous._trigrams(v.tenant_id, v.word) && (hartonomous._trigrams(0, _words_alike.written) || hartonomous._trigrams(_words_alike.tenant_id, _words_alike.written))) as s
        order by 2 desc, 1 limit 4 * _words_alike.k) as c
    where c.similarity >= 0.3 and exists (
        select from hartonomous.artifact as a
        where a.lexemes @@ (hartonomous._word_key(0, '=', c.word) || ' | ' || hartonomous._word_key(_words_alike.tenant_id, '=', c.word))::tsquery and a.deleted_at is null)
    order by c.similarity desc, c.word limit _words_alike.k;
end
$$;
comment on function hartonomous._words_alike(int, text, int) is
'Words of live texts that a tenant sees which are spelled like a word, or begin like it, by the trigrams they share.';

create or replace function hartonomous.search_suggest(prefix text, k int default 10) returns table (suggestion text, score real)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    given  constant text := left(lower(prefix), 200);
    written constant text[] := array(select w.lexeme from unnest(to_tsvector('pg_catalog.simple'::regconfig, given)) as w where octet_length(w.lexeme) <= 200 order by w.positions[cardinality(w.positions)]);
    last   constant text := written[cardinality(written)];
    opening text := left(given, -(strpos(reverse(given), reverse(last)) + char_length(last) - 1));
begin
    if hartonomous._masked(tenant, 'search') then
        perform hartonomous._mask_refuse(tenant, 'search', 'words of texts');
    elsif prefix is null then
        raise exception 'prefix is NULL' using errcode = '22004', hint = 'give the beginning of a word';
    elsif k is null or k not between 1 and 100 then
        raise exception 'k is %, expected 1 to 100', coalesce(k::text, 'NULL') using errcode = '22023';
    elsif last is null then
        return;
    end if;
    return query
    with beginning as materialized (
        select b.word, 0.5 + 0.5 * b.share as score from hartonomous._words_beginning(tenant, last, trim_array(written, 1)) as b
    ), alone as materialized (  -- the words before stand in no text with such a word, or there are none
        select b.word, 0.5 * b.share as score from hartonomous._words_beginning(tenant, last, '{}') as b
        where cardinality(written) > 1 and (select count(*) from beginning) < search_suggest.k
    ), alike as (
        select a.word, 0.5 * a.similarity as score from hartonomous._words_alike(tenant, last, search_suggest.k) as a
        where (select count(*) from (select word from beginning union select word from alone) as b) < search_suggest.k
    )
    select opening || s.word, max(s.score)::real
    from (select * from beginning union all select * from alone union all select * from alike) as s
    group by s.word order by 2 desc, s.word limit search_suggest.k;
end
$$;
comment on function hartonomous.search_suggest(text, int) is
'How the last word of what was written may go on, best first: words of live texts that begin so, in texts that have the words before; then words that begin so anywhere, and words that are spelled alike (trigrams), as after a slip. score: 0.5 and half the share of such texts (of at most 300) that have the word, for others half of that share, or half the similarity; equal ones by the alphabet. Nothing for what has no word. Errors: 22004 NULL, 22023 k (1 to 100), ZH002 masked.';
