create or replace function hartonomous._sample_share() returns double precision
language sql stable parallel safe
return case when pg_input_is_valid(current_setting('hartonomous.search_sample_share', true), 'double precision')
            then least(greatest(current_setting('hartonomous.search_sample_share', true)::double precision, 0), 1) else 0.01 end;
comment on function hartonomous._sample_share() is
'The share of searches that are sampled: the setting hartonomous.search_sample_share, or 1 %.';

create or replace function hartonomous._search_sample(
    tenant_id int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, recall real, began timestamptz, share double precision) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    us   constant double precision := hartonomous._elapsed_us(began);
    most constant int := 300;
begin
    -- a serializable transaction could fail at its end for what is written here
    if current_setting('transaction_read_only') = 'on' or current_setting('transaction_isolation') = 'serializable' then
        return;
    end if;
    -- a search waits for nobody
    perform from hartonomous.tenant as t where t.tenant_id = _search_sample.tenant_id and t.closed_at is null for key share skip locked;
    if not found then
        return;
    end if;
    perform from hartonomous.model as m where m.model_id = _search_sample.model_id for key share skip locked;
    if not found then
        return;
    end if;
    delete from hartonomous.search_sample as s where s.search_sample_id in (
        select o.search_sample_id from hartonomous.search_sample as o
        where o.tenant_id = _search_sample.tenant_id and o.model_id = _search_sample.model_id
        order by o.sampled_at desc offset most - 1 for update skip locked);
    insert into hartonomous.search_sample (tenant_id, model_id, query, k, filter, recall, us, share)
    values (_search_sample.tenant_id, _search_sample.model_id, _search_sample.query, _search_sample.k, _search_sample.filter, _search_sample.recall,
            us, greatest(_search_sample.share, 0.0001));
exception when others then
    raise log 'a search was not sampled: %', sqlerrm;
end
$$;
comment on function hartonomous._search_sample(int, bigint, @extschema:vector@.vector, int, jsonb, real, timestamptz, double precision) is
'Keeps a search for recall_watch, and the newest 300 of a tenant and model; nothing where nothing may be written, without waiting, and without failing.';

create or replace function hartonomous._nearest_sampled(
    tenant_id int, searched int, model_id bigint, query @extschema:vector@.vector, k int, filter jsonb, recall real,
    out ids bigint[], out distances double precision[], out exact boolean)
language plpgsql stable parallel unsafe
set search_path = pg_catalog, pg_temp as $$
declare
    began constant timestamptz := clock_timestamp();
    share constant double precision := hartonomous._sample_share();
begin
    select n.ids, n.distances, n.exact into ids, distances, exact from hartonomous._nearest(searched, model_id, query, k, filter, recall) as n;
    -- what somebody asks of what everybody sees would show in what everybody sees
    if not exact and searched = tenant_id and random() < share then
        perform hartonomous._search_sample(tenant_id, model_id, query, k, filter, recall, began, share);
    end if;
end
$$;
comment on function hartonomous._nearest_sampled(int, int, bigint, @extschema:vector@.vector, int, jsonb, real) is
'_nearest of what a tenant searches, its own or what everybody sees; of its own a sample is kept for recall_watch.';
