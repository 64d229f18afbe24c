create table hartonomous.atom_embedding (
    atom_embedding_id bigint primary key,
    tenant_id   int not null references hartonomous.tenant,
    artifact_id bigint not null,
    model_id    bigint not null references hartonomous.model,
    model_state bigint not null,
    inference_request_id bigint,
    embedding   @extschema:vector@.vector not null,
    bits        bit varying not null generated always as (@extschema:vector@.binary_quantize(embedding)) stored,
    input_hash  bytea not null,
    created_at  timestamptz not null default now(),
    -- read by tenant and model this index alone gives candidates, and no row of others is touched
    unique (tenant_id, model_id, artifact_id) include (bits),
    foreign key (tenant_id, artifact_id) references hartonomous.artifact on delete cascade
);
select hartonomous._opaque_ids('hartonomous.atom_embedding', 'atom_embedding_id');
comment on table hartonomous.atom_embedding is
'Embeddings of artifacts, one per model; input_hash: SHA-256 of the text that was embedded, or of a vector that came from outside; system-versioned, but for bits, which follow from the vector.';
comment on column hartonomous.atom_embedding.model_state is 'which weights made it: the first 8 bytes of the model''s state_hash then; one of other weights than the model''s present ones is embedded anew';
comment on column hartonomous.atom_embedding.bits is 'the signs of the components, 1 where one is positive: their Hamming distance finds candidates';
create index on hartonomous.atom_embedding (tenant_id, artifact_id);
-- of a model's embeddings by other weights than it has now a search looks for one
create index on hartonomous.atom_embedding (model_id, tenant_id, model_state);

select hartonomous.system_versioning_add('hartonomous.atom_embedding', '{bits}');
create index on hartonomous.atom_embedding_history (tenant_id, model_id, artifact_id);
create index on hartonomous.atom_embedding_history (tenant_id, artifact_id);

create table hartonomous.embedding_statistics (
    tenant_id   int not null references hartonomous.tenant,
    model_id    bigint not null references hartonomous.model on delete cascade,
    model_state bigint not null,
    rows        bigint not null,
    queries     int not null,
    scan_us     real not null,
    bits_us     real not null,
    fetch_us    real not null,
    filter_us   real not null,
    list_us     real not null,
    basis       int,
    place_us    real,
    index       oid,
    analyzed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, model_id)
);
comment on table hartonomous.embedding_statistics is
'What embedding_model_analyze measured of a tenant''s embeddings by a model: by which weights (model_state), how many there are, and microseconds that a row takes when all vectors are compared (scan), all sign bits (bits), when one vector is looked up (fetch), when a filter is applied to one (filter), and when all that satisfy it are listed without an index (list), when a place is looked up (place). basis: the version of the basis by which the path place was measured; NULL: three dimensions hold too little. index: the HNSW index that was measured.';

create table hartonomous.embedding_curve (
    tenant_id    int not null,
    model_id     bigint not null,
    path         text not null,
    filter_class text not null,
    k            int not null,
    candidates   int not null,
    recall       real not null,
    lower_bound  real not null,
    worst        real not null,
    far          double precision not null,
    ms           real,
    primary key (tenant_id, model_id, path, filter_class, k, candidates),
    foreign key (tenant_id, model_id) references hartonomous.embedding_statistics on delete cascade
);
comment on table hartonomous.embedding_curve is
'Recall of the k nearest by how many candidates a path takes, for filters of a class, measured by embedding_model_analyze over its sample of queries: mean, lower bound of the mean''s 95 % interval, and the 1st percentile (worst). far: 99th percentile of the distance of the k-th; a query whose k-th is farther is unlike the sample.';
insert into hartonomous.tenant_table (relation, omitted) values ('hartonomous.atom_embedding', '{bits}');
insert into hartonomous.tenant_table (relation) values ('hartonomous.atom_embedding_history'), ('hartonomous.embedding_statistics'), ('hartonomous.embedding_curve');
select hartonomous._dump_rows(array['hartonomous.atom_embedding', 'hartonomous.atom_embedding_history', 'hartonomous.embedding_statistics', 'hartonomous.embedding_curve']::regclass[]);
insert into hartonomous.operation values ('embed', 'write'), ('search', 'read'), ('embedding_analyze', 'write');

-- stored: ranking reads positions, and to parse a text again takes longer than to search for it; not generated: on a table
-- that has a trigger before update, every update of a row would parse its text again
alter table hartonomous.artifact add lexemes tsvector;
create trigger artifact_lexemes before insert or update of tenant_id, canonical_text, lexemes on hartonomous.artifact
for each row execute function hartonomous._artifact_lexemes();
comment on column hartonomous.artifact.lexemes is 'words of canonical_text, each key led by the tenant, so that a search reads no posting of another';
select hartonomous.system_versioning_add('hartonomous.artifact', '{lexemes}');  -- its readers give the column
update hartonomous.tenant_table set omitted = omitted || '{lexemes}' where relation = 'hartonomous.artifact'::regclass;

-- without pending lists, whose length other tenants could tell from the time that a search takes
create index artifact_lexeme on hartonomous.artifact using gin (lexemes) with (fastupdate = off) where deleted_at is null;
create index artifact_source_heading on hartonomous.artifact_source using gin (hartonomous._heading_vector(tenant_id, metadata)) with (fastupdate = off);

create table hartonomous.search_synonym (
    tenant_id  int not null references hartonomous.tenant,
    term       text not null,
    synonyms   text[] not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, term)
);
comment on table hartonomous.search_synonym is
'Thesaurus and stop list of search by words: what else a term stands for; nothing: the term is passed over. term: its stemmed words.';
insert into hartonomous.tenant_table (relation) values ('hartonomous.search_synonym');
select hartonomous._dump_rows(array['hartonomous.search_synonym']::regclass[]);
insert into hartonomous.operation values ('search_write', 'write');

-- without a key: who ingests a word waits for nobody who ingests it too
create table hartonomous.search_word (
    tenant_id int not null references hartonomous.tenant,
    word      text not null
);
comment on table hartonomous.search_word is
'Words of a tenant''s texts, some more than once: what search_suggest looks through for those that are spelled alike. Made from artifact.lexemes by triggers, when a dump is restored too.';
create index on hartonomous.search_word (tenant_id, word);
create index search_word_trigram on hartonomous.search_word using gin (hartonomous._trigrams(tenant_id, word)) with (fastupdate = off);
insert into hartonomous.tenant_table (relation, exported) values ('hartonomous.search_word', false);
select pg_extension_config_dump('hartonomous.search_word', 'where false');
create trigger search_word_insert after insert on hartonomous.artifact
referencing new table as added for each statement execute function hartonomous._search_word_inserted();
create trigger search_word_update after update on hartonomous.artifact
referencing old table as gone new table as added for each statement execute function hartonomous._search_word_updated();
create trigger search_word_delete after delete on hartonomous.artifact
referencing old table as gone for each statement execute function hartonomous._search_word_deleted();
