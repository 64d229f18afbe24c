create or replace function hartonomous._phrase_runs(content text)
returns table (run bigint, place bigint, token text, word text, stem text)
language sql stable parallel safe
begin atomic
    -- a run is broken by what is neither space, hyphen nor underscore, and by what is no word or a common one
    with token as (
        select p.ord, p.tokid, p.token, (ts_lexize('pg_catalog.english_stem'::regdictionary, lower(p.token)))[1] as stem
        from ts_parse('default', left(_phrase_runs.content, 100000)) with ordinality as p (tokid, token, ord)
        where p.tokid not in (9, 10, 11)  -- parts of a hyphenated word that was named before
    ), judged as (
        select t.*, t.tokid in (1, 2, 3, 15, 16, 17) and t.stem is not null and char_length(t.token) between 2 and 60 as is_word,
               t.tokid = 12 and t.token ~ '^(\s+|[-_])$' as joins
        from token as t
    ), numbered as (
        select j.*, count(*) filter (where not (j.is_word or j.joins)) over (order by j.ord) as run from judged as j
    )
    select n.run, n.ord, n.token, case when n.is_word then lower(n.token) end, case when n.is_word then n.stem end
    from numbered as n where n.is_word or n.joins;
end;
comment on function hartonomous._phrase_runs(text) is
'Tokens of a text in runs without common words and punctuation; word and stem are NULL for what stands between two words. Its first 100,000 characters.';

create or replace function hartonomous.key_phrases(artifact_id bigint, k int default 10) returns table (phrase text, score real)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('content');
    parts  bigint[];
    body   text;
begin
    if hartonomous._masked(tenant, 'content') then
        perform hartonomous._mask_refuse(tenant, 'content', 'words of texts');
    elsif k is null or k not between 1 and 1000 then
        raise exception 'k is %, expected 1 to 1000', coalesce(k::text, 'NULL') using errcode = '22023';
    end if;
    parts := hartonomous._artifact_parts(tenant, key_phrases.artifact_id);
    body := (select string_agg(a.canonical_text, E' .\n' order by a.artifact_id) from hartonomous.artifact as a where a.tenant_id in (0, tenant) and a.artifact_id = any (parts));
    return query
    with token as materialized (
        select t.* from hartonomous._phrase_runs(body) as t
    ), run as (
        select t.run, btrim(string_agg(regexp_replace(t.token, '\s+', ' '), '' order by t.place)) as phrase, array_agg(t.stem order by t.place) filter (where t.stem is not null) as stems
        from token as t group by t.run
    ), short as materialized (
        select r.run, btrim(r.phrase, ' -_') as phrase, r.stems from run as r where cardinality(r.stems) between 1 and 4
    ), word as (  -- RAKE: words of long phrases are worth more than words that stand alone
        select w.stem, sum(cardinality(s.stems))::double precision / count(*) * coalesce(min(r.weight), (select max(m.weight) from hartonomous._word_rarity(tenant) as m), 1) as weight
        from short as s cross join lateral unnest(s.stems) as w (stem) left join hartonomous._word_rarity(tenant) as r on r.word = w.stem
        group by w.stem
    ), named as (  -- by the form that is written most
        select s.stems, mode() within group (order by lower(s.phrase)) as phrase, count(*) as times from short as s group by s.stems
    ), scored as (
        select n.phrase, (1 + ln(n.times)) * (select sum(w.weight) from unnest(n.stems) as u (stem) join word as w on w.stem = u.stem) as score from named as n
    )
    select s.phrase, (s.score / max(s.score) over ())::real from scored as s order by s.score desc, s.phrase limit key_phrases.k;
end
$$;
comment on function hartonomous.key_phrases(bigint, int) is
'Phrases that tell what a text is about, best first: runs of up to four words without a common word or punctuation between, as RAKE (Rose et al. 2010) has them. A word is worth the mean length of the phrases it stands in, times how rare it is in a sample of the tenant''s texts; a phrase the sum of its words, times 1 + ln of how often it stands there. score: as a share of the best. Of a document, its passages. Nothing for what has no text. Errors: ZH010 no such artifact, 22023 k (1 to 1000), ZH002 masked.';
