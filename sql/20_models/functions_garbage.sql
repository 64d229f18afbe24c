create or replace function hartonomous._tensor_atoms_unused(ids bigint[]) returns setof bigint
language sql stable parallel safe
begin atomic
    select id from unnest(_tensor_atoms_unused.ids) as id
    except select c.tensor_atom_id from hartonomous.tensor_atom_coefficient as c join unnest(_tensor_atoms_unused.ids) as id on id = c.tensor_atom_id
    except select h.tensor_atom_id from hartonomous.tensor_atom_coefficient_history as h join unnest(_tensor_atoms_unused.ids) as id on id = h.tensor_atom_id;
end;
comment on function hartonomous._tensor_atoms_unused(bigint[]) is
'Those of tensor atoms that no model and no history holds. Reads all of the history, which has no index for it: that would slow each change of coefficients.';

create or replace function hartonomous._weights_collect(tensor_atom_ids bigint[], tokenizer_ids bigint[]) returns bigint
language plpgsql volatile parallel unsafe
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    orphans bigint[];
    removed bigint;
    tokenizers bigint;
begin
    -- lock first, judge after; what another transaction holds is being put into a model
    select array_agg(l.tensor_atom_id) into orphans
    from (select a.tensor_atom_id from hartonomous.tensor_atom as a
          where a.tensor_atom_id in (select hartonomous._tensor_atoms_unused(_weights_collect.tensor_atom_ids))
          order by a.content_hash for update skip locked) as l;
    delete from hartonomous.tensor_atom as a
    where a.tensor_atom_id in (select hartonomous._tensor_atoms_unused(orphans));
    get diagnostics removed = row_count;
    select array_agg(l.tokenizer_id) into orphans
    from (select t.tokenizer_id from hartonomous.tokenizer as t
          where t.tokenizer_id = any (_weights_collect.tokenizer_ids) order by t.tokenizer_id for update skip locked) as l;
    delete from hartonomous.tokenizer as t
    where t.tokenizer_id = any (orphans)
      and not exists (select from hartonomous.model as m where m.tokenizer_id = t.tokenizer_id)
      and not exists (select from hartonomous.model_history as h where h.tokenizer_id = t.tokenizer_id);
    get diagnostics tokenizers = row_count;
    return removed + tokenizers;
end
$$;
comment on function hartonomous._weights_collect(bigint[], bigint[]) is
'Removes those of tensor atoms and tokenizers that no model and no history holds, and returns how many.';

create or replace function hartonomous.model_collect_garbage(older_than interval default '1 day', batch int default 1000) returns bigint
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    -- in a restore that is under way tiles come before the models that hold them
    before constant timestamptz := now() - model_collect_garbage.older_than;
begin
    if older_than is null or older_than < '0' then
        raise exception 'older_than is %, expected an interval of at least 0', coalesce(older_than::text, 'NULL') using errcode = '22023';
    elsif batch is null or batch < 1 then
        raise exception 'batch is %, expected at least 1', coalesce(batch::text, 'NULL') using errcode = '22023';
    elsif current_setting('transaction_isolation') <> 'read committed' then
        -- what is judged after the locks needs a snapshot that is younger than they
        raise exception 'this transaction is %, garbage is collected in read committed', current_setting('transaction_isolation')
            using errcode = '25001', hint = 'call model_collect_garbage in a transaction of its own';
    end if;
    return hartonomous._weights_collect(
        array(select a.tensor_atom_id from hartonomous.tensor_atom as a
              where not exists (select from hartonomous.tensor_atom_coefficient as c where c.tensor_atom_id = a.tensor_atom_id)
                and not exists (select from hartonomous.tensor_atom_coefficient_history as h where h.tensor_atom_id = a.tensor_atom_id)
                and coalesce(pg_xact_commit_timestamp(a.xmin), '-infinity') <= before limit batch),
        array(select t.tokenizer_id from hartonomous.tokenizer as t
              where not exists (select from hartonomous.model as m where m.tokenizer_id = t.tokenizer_id)
                and not exists (select from hartonomous.model_history as h where h.tokenizer_id = t.tokenizer_id)
                and coalesce(pg_xact_commit_timestamp(t.xmin), '-infinity') <= before limit batch));
end
$$;
comment on function hartonomous.model_collect_garbage(interval, int) is
'Removes tensor atoms and tokenizers of all tenants, at most batch of each, that were stored longer ago and that neither a model nor a history holds, such as those of dropped models whose history was pruned, and returns how many. Call it until it returns 0; who loads models meanwhile waits for no more than a batch. Errors: 22023 older_than or batch, 25001 not read committed.';
