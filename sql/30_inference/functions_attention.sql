create or replace function hartonomous.attention(q real[], k real[], v real[], heads int default 1, causal boolean default false) returns real[]
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
begin
    perform hartonomous._permit_read('inference');
    return hartonomous._attention(array_send(q), array_send(k), array_send(v), heads, causal);
end
$$;
comment on function hartonomous.attention(real[], real[], real[], int, boolean) is
'Multi-head scaled dot-product attention (Vaswani et al. 2017): softmax(q k^T / sqrt(d / heads)) v, of queries (n, d), keys (m, d) and values (m, e), in float32; (n, e), or one row when q is one row. Rows of a table: array_agg(column). causal: query i sees the first m - n + i keys, counted from 1. NULL in gives NULL; 22023 for shapes that do not fit, NULL elements or values that are not finite.';

create or replace function hartonomous._attention(q bytea, k bytea, v bytea, heads int, causal boolean) returns real[]
language plpython3u stable strict parallel safe
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.inference import attention
return attention.of_arrays(q, k, v, heads, causal)
$$;
comment on function hartonomous._attention(bytea, bytea, bytea, int, boolean) is 'attention of arrays as array_send gives them.';
