create or replace function hartonomous._trigrams(tenant_id int, word text) returns text[]
language sql immutable parallel safe
return array(select _trigrams.tenant_id::text || ':' || t.trigram from unnest(@extschema:pg_trgm@.show_trgm(_trigrams.word)) as t (trigram));
comment on function hartonomous._trigrams(int, text) is 'Trigrams of a word as keys of a tenant.';

create or replace function hartonomous._artifact_lexemes() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    new.lexemes := hartonomous._word_vector(new.tenant_id, new.canonical_text);
    return new;
end
$$;
comment on function hartonomous._artifact_lexemes() is 'Row trigger: the words of an artifact''s text, whatever was given for them.';

create or replace function hartonomous._surface_words(lexemes tsvector) returns text[]
language sql immutable parallel safe
return array(select substr(k.key, strpos(k.key, '=') + 1) from unnest(tsvector_to_array(_surface_words.lexemes)) as k (key) where k.key ~ '^\d+=');
comment on function hartonomous._surface_words(tsvector) is 'Words of a text as they stand, from its keys.';

create or replace function hartonomous._search_word_put(tenant_ids int[], words text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    insert into hartonomous.search_word (tenant_id, word)
    select n.tenant_id, n.word from unnest(tenant_ids, words) as n (tenant_id, word)
    where char_length(n.word) between 3 and 40 and n.word ~ '[[:alpha:]]'
      and not exists (select from hartonomous.search_word as w where w.tenant_id = n.tenant_id and w.word = n.word)
    group by n.tenant_id, n.word;
end
$$;
comment on function hartonomous._search_word_put(int[], text[]) is 'Adds words of tenants that are not there, such as somebody would begin to write.';

create or replace function hartonomous._search_word_remove(tenant_ids int[], words text[]) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    delete from hartonomous.search_word as w
    using (select distinct n.tenant_id, n.word from unnest(tenant_ids, words) as n (tenant_id, word)) as o
    where w.tenant_id = o.tenant_id and w.word = o.word
      and not exists (select from hartonomous.artifact as a where a.lexemes @@ hartonomous._word_key(o.tenant_id, '=', o.word)::tsquery and a.deleted_at is null);
end
$$;
comment on function hartonomous._search_word_remove(int[], text[]) is 'Removes words of tenants that stand in no live text any more.';

create or replace function hartonomous._search_word_inserted() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._search_word_put(array_agg(a.tenant_id), array_agg(w.word))
    from added as a cross join lateral unnest(hartonomous._surface_words(a.lexemes)) as w (word);
    return null;
end
$$;
comment on function hartonomous._search_word_inserted() is 'Adds the words of new texts to search_word.';

create or replace function hartonomous._search_word_updated() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._search_word_put(array_agg(a.tenant_id), array_agg(w.word))
    from added as a join gone as g on g.tenant_id = a.tenant_id and g.artifact_id = a.artifact_id
    cross join lateral unnest(hartonomous._surface_words(a.lexemes)) as w (word)
    where a.deleted_at is null and (g.deleted_at is not null or g.lexemes is distinct from a.lexemes);
    return null;
end
$$;
comment on function hartonomous._search_word_updated() is 'Adds the words of changed or restored texts to search_word.';

create or replace function hartonomous._search_word_deleted() returns trigger
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._search_word_remove(array_agg(g.tenant_id), array_agg(w.word))
    from gone as g cross join lateral unnest(hartonomous._surface_words(g.lexemes)) as w (word);
    return null;
end
$$;
comment on function hartonomous._search_word_deleted() is 'Removes from search_word what only texts had that are gone for good.';
