create or replace function hartonomous.synonym_put(term text, synonyms text[] default '{}') returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('search_write');
    key    constant text := hartonomous._term_key(term);
    most   constant int := 10000;
begin
    if term is null or synonyms is null or array_position(synonyms, null) is not null then
        raise exception 'term and synonyms must not be NULL' using errcode = '22004', hint = 'without synonyms a term is passed over';
    elsif key is null or array_length(string_to_array(key, ' '), 1) > 5 or octet_length(term) > 500 then
        raise exception 'term %, expected one to five words that are searched for', quote_literal(left(term, 100)) using errcode = '22023',
            hint = 'the most common words of the language are never searched for';
    elsif cardinality(synonyms) > 50 or exists (select from unnest(synonyms) as s where hartonomous._term_key(s) is null or octet_length(s) > 500) then
        raise exception 'expected at most 50 synonyms, each of words that are searched for' using errcode = '22023';
    elsif (select count(*) from hartonomous.search_synonym as s where s.tenant_id = tenant) >= most then
        raise exception 'there are % terms, expected at most %', most, most using errcode = '55000', hint = 'hartonomous.synonym_drop removes one';
    end if;
    insert into hartonomous.search_synonym (tenant_id, term, synonyms) values (tenant, key, synonym_put.synonyms)
    on conflict (tenant_id, term) do update set synonyms = excluded.synonyms;
end
$$;
comment on function hartonomous.synonym_put(text, text[]) is
'From now on the words of a query that are a term also stand for its synonyms (words or phrases), for the caller''s tenant; without synonyms the term is passed over, as on a stop list. An earlier entry of the term is replaced. It holds in one direction: put the other as well where it holds. What is in quotes is searched for as it is written. Entries of tenant 0 count for everybody who has none of his own for the term. Errors: 22023 no words, or too many, 22004 NULL, 55000 more than 10,000 terms.';

create or replace function hartonomous.synonym_drop(term text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('search_write');
begin
    delete from hartonomous.search_synonym as s where s.tenant_id = tenant and s.term = hartonomous._term_key(synonym_drop.term);
    if not found then
        raise exception 'term % has no entry', coalesce(quote_literal(left(synonym_drop.term, 100)), 'NULL') using errcode = '22023',
            hint = 'hartonomous.synonym_list shows those of your tenant';
    end if;
end
$$;
comment on function hartonomous.synonym_drop(text) is 'A term of a query stands for itself again. Error: 22023 it has no entry.';

create or replace function hartonomous.synonym_list() returns table (term text, synonyms text[], created_at timestamptz)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
begin
    return query select s.term, s.synonyms, s.created_at from hartonomous.search_synonym as s where s.tenant_id = tenant order by s.term;
end
$$;
comment on function hartonomous.synonym_list() is 'Thesaurus and stop list of the caller''s tenant: terms, as stemmed words, and what else each stands for; nothing: it is passed over.';
