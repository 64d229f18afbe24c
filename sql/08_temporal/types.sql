-- Transaction ids begin anew in every server, so a restored database would take another server's ids for its own. A stamp is therefore
-- an epoch (22 random bits, chosen whenever the extension is installed, so by every restore) and 40 bits of transaction id.
do $$
begin
    execute pg_catalog.format('create function hartonomous._version_epoch() returns bigint language sql immutable parallel safe return %s::bigint',
                              pg_catalog.floor(pg_catalog.random() * 4194304)::bigint);
end
$$;
comment on function hartonomous._version_epoch() is 'Tells stamps of this installation from those that a restore brought.';
