create or replace function hartonomous._lexemes(tenant_id int, content text) returns text[]
language sql immutable parallel safe
return array(select _lexemes.tenant_id || ':' || w.lexeme
             from unnest(to_tsvector('pg_catalog.english'::regconfig, left(_lexemes.content, 100000))) as w);
comment on function hartonomous._lexemes(int, text) is
'Stemmed words of a text as keys of the word index; each tenant has keys of its own. What stands after 100,000 characters is not indexed.';
