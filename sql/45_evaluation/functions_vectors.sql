create or replace function hartonomous._training_vectors(tenant_id int, model_id bigint) returns table (image bytea, label text)
language sql stable parallel safe
begin atomic
    select @extschema:vector@.vector_send(e.embedding), r.label
    from hartonomous.training_row as r
    join hartonomous.model as m on m.model_id = r.model_id
    join hartonomous.atom_embedding as e on e.tenant_id = r.tenant_id and e.artifact_id = r.artifact_id and e.model_id = m.base_model_id
    where r.tenant_id = _training_vectors.tenant_id and r.model_id = _training_vectors.model_id
    order by r.artifact_id;
end;
comment on function hartonomous._training_vectors(int, bigint) is 'What a head is fitted to: embeddings in binary form, and labels.';

create or replace function hartonomous._vectors_of_both(tenant_id int, model_id bigint, other_id bigint) returns table (artifact_id bigint, image bytea)
language sql stable parallel safe
begin atomic
    select e.artifact_id, @extschema:vector@.vector_send(e.embedding)
    from hartonomous.atom_embedding as e
    join hartonomous.artifact as a on a.tenant_id = e.tenant_id and a.artifact_id = e.artifact_id
    where e.tenant_id in (0, _vectors_of_both.tenant_id) and e.model_id = _vectors_of_both.model_id and a.deleted_at is null
      and e.model_state = (select hartonomous._model_state(_vectors_of_both.model_id))
      and exists (select from hartonomous.atom_embedding as o
                  where o.tenant_id = e.tenant_id and o.artifact_id = e.artifact_id and o.model_id = _vectors_of_both.other_id
                    and o.model_state = (select hartonomous._model_state(_vectors_of_both.other_id)))
    order by e.artifact_id;
end;
comment on function hartonomous._vectors_of_both(int, bigint, bigint) is
'Embeddings by a model''s present weights, in binary form, of live artifacts that have one by those of another model too.';
