create type hartonomous.embedding_hit as (path text, filter_class text, query int, ordinal int, rank int, distance double precision);
comment on type hartonomous.embedding_hit is
'One of the nearest to a query of a sample: its ordinal among them, its place among the candidates of a path (the fewest candidates that have it), its distance.';
