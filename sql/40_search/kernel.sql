create or replace function hartonomous._words(content text) returns text[]
language sql immutable parallel safe
return tsvector_to_array(to_tsvector('pg_catalog.english'::regconfig, left(_words.content, 100000)));
comment on function hartonomous._words(text) is
'Different stemmed words of a text, but for the most common of the language; those among its first 100,000 characters.';

create or replace function hartonomous._lexemes(tenant_id int, content text) returns text[]
language sql immutable parallel safe
return array(select _lexemes.tenant_id::text || ':' || w.word from unnest(hartonomous._words(_lexemes.content)) as w (word));
comment on function hartonomous._lexemes(int, text) is 'Words of a text as keys of the word index: each tenant has keys of its own.';
