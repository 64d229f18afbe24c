create or replace function hartonomous._words(content text) returns text[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp set client_min_messages = error  -- not that words over 2,047 bytes are passed over
return array(select w.word from unnest(tsvector_to_array(to_tsvector('pg_catalog.english'::regconfig, left(_words.content, 100000)))) as w (word)
             where octet_length(w.word) <= 200);
comment on function hartonomous._words(text) is
'Different stemmed words of a text, but for the most common of the language; those among its first 100,000 characters.';

create or replace function hartonomous._word_key(tenant_id int, mark text, word text) returns text
language sql immutable parallel safe
return '''' || _word_key.tenant_id::text || _word_key.mark || replace(replace(_word_key.word, '\', '\\'), '''', '''''') || '''';
comment on function hartonomous._word_key(int, text, text) is
'A word as key of the word index, quoted as in the text of a tsvector or a tsquery: each tenant has keys of its own. mark: : before a stem, = before a word as it stands.';

create or replace function hartonomous._word_vector(tenant_id int, content text) returns tsvector
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp set client_min_messages = error as $$
declare
    -- a tsvector holds less than 1 MB
    part  constant text := left(content, case when octet_length(left(content, 100000)) > 200000 then 50000 else 100000 end);
    stems tsvector := to_tsvector('pg_catalog.english'::regconfig, part);
    words tsvector := strip(to_tsvector('pg_catalog.simple'::regconfig, part));
begin
    if part ~ '\S{200}' then  -- that is no word, and a key has less than 2 kB
        stems := ts_delete(stems, array(select w from unnest(tsvector_to_array(stems)) as w where octet_length(w) > 200));
        words := ts_delete(words, array(select w from unnest(tsvector_to_array(words)) as w where octet_length(w) > 200));
    end if;
    -- as text, since taken apart it takes thrice as long; no word has a space, so that a quote after one opens a word
    return nullif(ltrim(replace(' ' || stems::text, ' ''', ' ''' || tenant_id::text || ':')
                        || replace(' ' || words::text, ' ''', ' ''' || tenant_id::text || '=')), '')::tsvector;
end
$$;
comment on function hartonomous._word_vector(int, text) is
'The words of a text as keys of a tenant: stems with their positions, but for the most common words of the language, and words as they stand, without. NULL when there are none.';

create or replace function hartonomous._heading_vector(tenant_id int, metadata jsonb) returns tsvector
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp as $$
begin
    return hartonomous._word_vector(tenant_id, concat_ws(' . ', metadata ->> 'title', case jsonb_typeof(metadata -> 'heading_path') when 'array' then
        (select string_agg(h.part, ' . ') from jsonb_array_elements_text(metadata -> 'heading_path') as h (part)) end));
end
$$;
comment on function hartonomous._heading_vector(int, jsonb) is 'The words of the title and the headings over an occurrence, as keys of a tenant.';
