create or replace function hartonomous.jwt_issuer_put(
    issuer text, audience text, jwks jsonb, tenant_claim text default 'tenant', scopes text[] default '{read,write}') returns int
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    usable int;
begin
    if coalesce(jwt_issuer_put.issuer, '') = '' or coalesce(jwt_issuer_put.audience, '') = '' then
        raise exception 'issuer and audience must not be empty' using errcode = '22023', hint = 'they are compared with the token''s iss and aud';
    end if;
    perform hartonomous._scopes_check(jwt_issuer_put.scopes);
    usable := hartonomous._jwks_check(jwt_issuer_put.jwks);
    insert into hartonomous.jwt_issuer as j (issuer, audience, jwks, tenant_claim, scopes)
    values (jwt_issuer_put.issuer, jwt_issuer_put.audience, jwt_issuer_put.jwks, jwt_issuer_put.tenant_claim, jwt_issuer_put.scopes)
    on conflict (issuer) do update
    set audience = excluded.audience, jwks = excluded.jwks, tenant_claim = excluded.tenant_claim, scopes = excluded.scopes, updated_at = now();
    perform hartonomous._audit('jwt_issuer_put', null, jsonb_build_object('issuer', jwt_issuer_put.issuer, 'audience', jwt_issuer_put.audience,
        'keys', usable, 'tenant_claim', jwt_issuer_put.tenant_claim, 'scopes', jwt_issuer_put.scopes));
    return usable;
end
$$;
comment on function hartonomous.jwt_issuer_put(text, text, jsonb, text, text[]) is
'Trusts an issuer of JSON Web Tokens, or replaces its keys; returns how many keys of the set (RFC 7517) are usable: RSA for RS256, P-256 for ES256, oct of at least 32 bytes for HS256. Errors: 22023 no usable key, empty issuer or audience, unknown scope.';

create or replace function hartonomous.jwt_issuer_list()
returns table (issuer text, audience text, tenant_claim text, scopes text[], keys int, updated_at timestamptz)
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select j.issuer, j.audience, j.tenant_claim, j.scopes, jsonb_array_length(j.jwks -> 'keys'), j.updated_at
    from hartonomous.jwt_issuer as j order by j.issuer;
end;
comment on function hartonomous.jwt_issuer_list() is 'Issuers of JSON Web Tokens that are trusted, and how many keys of each.';

create or replace function hartonomous.jwt_issuer_drop(issuer text) returns void
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    delete from hartonomous.jwt_issuer as j where j.issuer = jwt_issuer_drop.issuer;
    if not found then
        raise exception 'issuer % is not trusted', coalesce(quote_literal(jwt_issuer_drop.issuer), 'NULL')
            using errcode = '22023', hint = 'hartonomous.jwt_issuer_list() shows those that are';
    end if;
    perform hartonomous._audit('jwt_issuer_drop', null, jsonb_build_object('issuer', jwt_issuer_drop.issuer));
end
$$;
comment on function hartonomous.jwt_issuer_drop(text) is 'Trusts an issuer of tokens no more, from the next transaction on. 22023 it was not trusted.';

create or replace function hartonomous._jwks_check(jwks jsonb) returns int
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.security import jwks as keys
return keys.check(jwks)
$$;
comment on function hartonomous._jwks_check(jsonb) is 'Usable keys of a JSON Web Key Set; 22023 when there is none.';

create or replace function hartonomous._jwt_verify(token text, out issuer text, out tenant text, out scope text, out refusal text)
language plpython3u stable parallel restricted
set search_path = pg_catalog, pg_temp as $$
@boot@
from hartonomous_server.security import jwks as keys
return keys.verify(plpy, token)
$$;
comment on function hartonomous._jwt_verify(text) is 'Issuer, tenant claim and scope claim of a genuine, current token; otherwise why it is refused.';

create or replace function hartonomous.authenticate_jwt(token text) returns int
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp as $$
declare
    claims  record := hartonomous._jwt_verify(token);
    granted text[] := (select j.scopes from hartonomous.jwt_issuer as j where j.issuer = claims.issuer);
    bound   int;
begin
    select t.tenant_id into bound from hartonomous.tenant as t
    where t.tenant_id > 0 and (t.name = claims.tenant or t.tenant_id::text = claims.tenant)
    order by t.name = claims.tenant desc limit 1;
    if claims.scope is not null then
        granted := array(select unnest(granted) intersect select unnest(string_to_array(claims.scope, ' ')));
    end if;
    if claims.refusal is not null or bound is null or granted = '{}' then
        perform hartonomous._refuse('authenticate_jwt', bound, 'ZH003', 'token is not valid', 'an issuer trusted by hartonomous.jwt_issuer_put makes tokens',
            coalesce(claims.refusal, 'its tenant is unknown or its scope grants neither read nor write'));
    end if;
    return hartonomous._context_bind(bound, null, granted);
end
$$;
comment on function hartonomous.authenticate_jwt(text) is
'Binds the tenant that a JSON Web Token names to the rest of the transaction and returns it. The token (RS256, ES256 or HS256) must be signed by a key of its issuer in jwt_issuer, with iss, aud, exp and nbf in order; a scope claim narrows what it may do. Errors: ZH003 not valid, ZH002 the transaction acts for another tenant already.';
