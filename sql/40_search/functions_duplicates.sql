create or replace function hartonomous._embedding_images(tenant_id int, model_id bigint) returns table (artifact_id bigint, image bytea)
language sql stable parallel safe
begin atomic
    select e.artifact_id, @extschema:vector@.vector_send(e.embedding)
    from hartonomous.atom_embedding as e
    join hartonomous.artifact as a on a.tenant_id = e.tenant_id and a.artifact_id = e.artifact_id
    where e.tenant_id = _embedding_images.tenant_id and e.model_id = _embedding_images.model_id and a.deleted_at is null
    order by e.artifact_id;
end;
comment on function hartonomous._embedding_images(int, bigint) is 'Embeddings of a tenant''s live artifacts as vector_send gives them, by id.';

create or replace function hartonomous._near_pairs(tenant_id int, model_id bigint, threshold double precision)
returns table (a bigint, b bigint, similarity double precision)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.search import duplicates
return duplicates.near(plpy, tenant_id, model_id, threshold)
$$;
comment on function hartonomous._near_pairs(int, bigint, double precision) is 'Pairs of a tenant''s live artifacts whose embeddings have at least that cosine similarity: a matrix product.';

create or replace function hartonomous.duplicates(threshold real default 0.95, model text default null)
returns table (a bigint, b bigint, similarity real)
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit_read('search');
    target constant bigint := hartonomous._model_id(tenant, model, 'embedding');
    masked constant boolean := hartonomous._masked(tenant, 'search');
begin
    if threshold is null or not threshold between 0.5 and 1 then
        raise exception 'threshold is %, expected 0.5 to 1', coalesce(threshold::text, 'NULL') using errcode = '22023';
    end if;
    perform hartonomous._embedding_mixed_tell(tenant, target);
    return query
    with same as (  -- other bytes, but the same text; the same bytes are one artifact
        select array_agg(t.artifact_id order by t.artifact_id) as ids from hartonomous.artifact as t
        where t.tenant_id = tenant and t.deleted_at is null and t.canonical_text is not null
        group by sha256(convert_to(t.canonical_text, 'UTF8')) having count(*) > 1
    ), pair as (
        select x.id as a, y.id as b, 1::double precision as similarity
        from same as s cross join lateral unnest(s.ids[:1000]) as x (id) cross join lateral unnest(s.ids[:1000]) as y (id) where x.id < y.id
        union all
        select n.a, n.b, n.similarity from hartonomous._near_pairs(tenant, target, threshold::double precision) as n
    )
    select p.a, p.b, case when not masked then max(p.similarity)::real end from pair as p group by p.a, p.b order by max(p.similarity) desc, p.a, p.b;
end
$$;
comment on function hartonomous.duplicates(real, text) is
'Pairs of live artifacts of the caller''s tenant that say the same, a < b, the most alike first: those with the same text (similarity 1), and those whose embeddings by the model have at least that cosine similarity. Every pair is compared, as a product of matrices: the time grows with the square of their number, the memory is four bytes a component. The same bytes never are two artifacts of one tenant. Errors: ZH020 no such model, 22023 threshold (0.5 to 1), or more than 1,000,000 pairs.';
