create type hartonomous.embedding_hit as (path text, filter_class text, kind text, query int, ordinal int, rank int, distance double precision);
comment on type hartonomous.embedding_hit is
'One of the nearest to a query of a sample, of a kind of queries: its ordinal among them, its place among the candidates of a path (the fewest candidates that have it), its distance.';

create type hartonomous.search_result as (artifact_id bigint, score real, source_uri text, snippet text, verdict text);
comment on type hartonomous.search_result is 'What searches return; a type of its own for those whose argument has the name of a column.';
