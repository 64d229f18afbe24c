create or replace function hartonomous._deployment_put(
    tenant_id int, kind text, model_id bigint, candidate_id bigint default null, share real default 0) returns void
language sql volatile parallel unsafe
set search_path = pg_catalog, pg_temp
begin atomic
    -- what this very transaction deployed leaves no history, so there is no way back to it
    insert into hartonomous.model_deployment as d (tenant_id, kind, model_id, candidate_id, share)
    values (_deployment_put.tenant_id, _deployment_put.kind, _deployment_put.model_id, _deployment_put.candidate_id, _deployment_put.share)
    on conflict (tenant_id, kind) do update
    set model_id = excluded.model_id, candidate_id = excluded.candidate_id, share = excluded.share, deployed_at = excluded.deployed_at,
        deployment_id = excluded.deployment_id,
        earlier_id = case when d.sys_begin = hartonomous._stamp() then d.earlier_id else d.deployment_id end;
end;
comment on function hartonomous._deployment_put(int, text, bigint, bigint, real) is 'Deploys a model of a tenant, alone or beside a candidate.';

create or replace function hartonomous._deployment_back(tenant_id int, kind text, without bigint default null) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    was    record;
    wanted bigint;
begin
    select d.earlier_id into wanted from hartonomous.model_deployment as d
    where d.tenant_id = _deployment_back.tenant_id and d.kind = _deployment_back.kind for update;
    loop
        select h.*, array(select m.model_id from hartonomous.model as m where m.model_id in (h.model_id, h.candidate_id)
                          and m.status = 'ready' and m.model_id is distinct from _deployment_back.without) as usable
        into was
        from hartonomous.model_deployment_history as h
        where h.tenant_id = _deployment_back.tenant_id and h.deployment_id = wanted;
        if not found then
            return null;
        end if;
        wanted := was.earlier_id;
        exit when was.model_id = any (was.usable);
    end loop;
    if was.candidate_id = any (was.usable) is not true then
        was.candidate_id := null;
        was.share := 0;
    end if;
    update hartonomous.model_deployment as d
    set deployment_id = default, earlier_id = was.earlier_id, model_id = was.model_id, candidate_id = was.candidate_id, share = was.share,
        deployed_at = clock_timestamp()
    where d.tenant_id = _deployment_back.tenant_id and d.kind = _deployment_back.kind;
    return was.model_id;
end
$$;
comment on function hartonomous._deployment_back(int, text, bigint) is
'Deploys what was deployed before, passing over models that are gone, archived or the one named; returns its id, NULL when there is none.';

create or replace function hartonomous._deployment_leave(tenant_id int, model_id bigint) returns void
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    held hartonomous.model_deployment;
begin
    select d.* into held from hartonomous.model_deployment as d
    where d.tenant_id = _deployment_leave.tenant_id and _deployment_leave.model_id in (d.model_id, d.candidate_id) for update;
    if not found then
        return;
    elsif held.candidate_id is not null then
        perform hartonomous._deployment_put(held.tenant_id, held.kind, case when held.model_id = _deployment_leave.model_id
                                                                            then held.candidate_id else held.model_id end);
    elsif hartonomous._deployment_back(held.tenant_id, held.kind, held.model_id) is null then
        delete from hartonomous.model_deployment as d where d.tenant_id = held.tenant_id and d.kind = held.kind;
    end if;
end
$$;
comment on function hartonomous._deployment_leave(int, bigint) is
'Takes a model out of deployment: the other one of two goes on alone, else what was deployed before comes back.';

create or replace function hartonomous.model_deploy(model text, share real default 1) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    target constant bigint := hartonomous._model_own(tenant, model);
    part   constant real := coalesce(model_deploy.share, 1);
    sort   text;
    made   text;
    beside bigint;
begin
    if not (part > 0 and part <= 1) then
        raise exception 'share is %, expected more than 0 and at most 1', part using errcode = '22023';
    end if;
    update hartonomous.model as m set status = 'ready' where m.model_id = target and m.status = 'archived';
    select m.kind, m.architecture into sort, made from hartonomous.model as m where m.model_id = target and m.status = 'ready' for key share;
    if not found then
        raise exception 'model % is still being loaded', quote_literal(model) using errcode = 'ZH022', hint = 'finish it with hartonomous.model_commit';
    elsif made = 'external' then
        raise exception 'model % has no weights: its vectors come from outside', quote_literal(model) using errcode = 'ZH031',
            hint = 'name it in searches: hartonomous.search_vector(query, model => ...)';
    elsif part = 1 then
        perform hartonomous._deployment_put(tenant, sort, target);
        return;
    end if;
    select d.model_id into beside from hartonomous.model_deployment as d where d.tenant_id = tenant and d.kind = sort for update;
    if beside is null or beside = target then
        raise exception 'model % cannot take a share: %', quote_literal(model),
            case when beside is null then 'your tenant has deployed no other' else 'it is the one deployed' end
            using errcode = '22023', hint = 'deploy another one by itself first: hartonomous.model_deploy(model)';
    end if;
    perform hartonomous._deployment_put(tenant, sort, beside, target, part);
end
$$;
comment on function hartonomous.model_deploy(text, real) is
'Makes a model the tenant''s default of its kind, an archived one ready again. share below 1: it becomes the candidate beside the deployed model and gets that share of the requests that name no model and whose answer stands by itself (search, generate, predict), chosen by the SHA-256 of their content: equal requests get the same model. embed and what stores embeddings keep to the deployed one. NULL share means 1. A warning counts artifacts that the model deployed before has embedded and this one has not: searches would no longer find them. Errors: ZH020 no such model, ZH022 not finished, ZH031 its vectors come from outside, 22023 share.';

create or replace function hartonomous.model_archive(model text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    target constant bigint := hartonomous._model_own(tenant, model);
begin
    perform from hartonomous.model as m where m.model_id = target for update;
    if exists (select from hartonomous.model_deployment as d where d.tenant_id = tenant and target in (d.model_id, d.candidate_id)) then
        raise exception 'model % is deployed', quote_literal(model) using errcode = '55000',
            hint = 'deploy another one first with hartonomous.model_deploy, or go back with hartonomous.model_rollback';
    end if;
    update hartonomous.model as m set status = 'archived' where m.model_id = target and m.status <> 'loading';
    if not found then
        raise exception 'model % is still being loaded', quote_literal(model) using errcode = 'ZH022', hint = 'finish it with hartonomous.model_commit';
    end if;
end
$$;
comment on function hartonomous.model_archive(text) is
'Takes a model out of use: it is not run any more, while its weights and stored embeddings stay and can be read. model_deploy brings it back. Errors: ZH020 no such model, ZH022 not finished, 55000 it is deployed.';

create or replace function hartonomous.model_rollback(kind text default 'embedding') returns text
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    tenant constant int := hartonomous._permit('model_write');
    back   constant bigint := hartonomous._deployment_back(tenant, model_rollback.kind);
begin
    if back is null then
        raise exception 'no earlier deployment of kind %', coalesce(quote_literal(model_rollback.kind), 'NULL') using errcode = 'ZH020',
            hint = 'hartonomous.model_deployment__all() lists deployments; model_deploy deploys any model';
    end if;
    return (select m.name || '@' || m.version from hartonomous.model as m where m.model_id = back);
end
$$;
comment on function hartonomous.model_rollback(text) is
'Deploys again what was deployed before, a split between two models included, and returns name@version; called again it goes back further. Models that are dropped or archived since are passed over. Errors: ZH020 nothing was deployed before.';
