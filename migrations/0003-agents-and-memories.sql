create table agent (
  tenant_id text not null,
  agent_id text not null,
  -- One life of the agent's memory: an erased agent that comes back gets another, so late writes to the index miss it.
  space_id text not null,
  metadata jsonb not null default '{}',
  defaults jsonb not null default '{}',
  -- The clock: each write takes the next revision under this row's lock, so commit order is revision order. The index
  -- holds the words of everything up to indexed_revision and the vectors of everything up to embedded_revision: words
  -- need no model, so they never wait for one.
  revision bigint not null default 0,
  indexed_revision bigint not null default 0,
  embedded_revision bigint not null default 0,
  -- How far into the revision after indexed_revision the words are, where one is too big for a round: up to this memory.
  part_revision bigint not null default 0,
  part_memory_id text not null default '',
  -- How far the index under construction is, when there is one: it holds all of everything up to built_revision, and
  -- cannot serve before it holds what was there when it was begun, up to build_goal.
  built_revision bigint not null default 0,
  build_goal bigint not null default 0,
  -- Counts what the indexer published, so that a cache of the index knows what is new to it; entries that were removed
  -- are forgotten up to forgotten_publication, and a cache older than that starts over.
  publication bigint not null default 0,
  forgotten_publication bigint not null default 0,
  lease_token bigint not null default 0,
  lease_until timestamptz,
  memory_count bigint not null default 0,
  memory_tokens bigint not null default 0,
  -- Memories whose words are counted in agent_term.
  document_count bigint not null default 0,
  session_count bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, agent_id)
);
create unique index agent_by_space on agent (tenant_id, space_id);
create index agent_behind_its_clock on agent ((revision > indexed_revision), tenant_id, lease_until nulls first)
  where revision > indexed_revision or revision > embedded_revision;

-- Not for the upsert that finds the agent there.
create trigger only_of_an_active_tenant after insert on agent
  for each row execute function ensure_tenant_active();

create table memory (
  tenant_id text not null,
  agent_id text not null,
  memory_id text not null,
  content text not null,
  memory_type text,
  metadata jsonb not null default '{}',
  source_id text,
  source_position bigint,
  occurred_at timestamptz,
  -- Of the clock that occurred_at was read from, east of Greenwich: says which day it was there.
  occurred_offset_minutes smallint,
  version integer not null default 1,
  revision bigint not null,
  -- The revision at which the content itself last changed: a vector of that revision is still good.
  content_revision bigint not null,
  -- First 64 bits of the SHA-256 of the normalised content: finds identical memories.
  content_hash bigint not null,
  tokens integer not null,
  changed_by text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz,
  bytes bigint not null generated always as (octet_length(content) + coalesce(octet_length(memory_type), 0)
    + coalesce(octet_length(source_id), 0) + case when metadata = '{}' then 0 else octet_length(metadata::text) end) stored,
  -- Moments that can be told on the wire, and put in order by what was told.
  constraint memory_has_moments_that_can_be_told check (least(occurred_at, created_at, updated_at, expires_at)
    >= '0001-01-01T00:00:00Z' and greatest(occurred_at, created_at, updated_at, expires_at) < '10000-01-01T00:00:00Z'),
  check (occurred_offset_minutes between -1439 and 1439),
  primary key (tenant_id, agent_id, memory_id)
);
create index memory_by_creation on memory (tenant_id, agent_id, created_at, memory_id);
create index memory_by_revision on memory (tenant_id, agent_id, revision);
create index memory_by_source on memory (tenant_id, agent_id, source_id, source_position) where source_id is not null;
create index memory_by_content on memory (tenant_id, agent_id, content_hash);
create index memory_by_expiry on memory (expires_at) where expires_at is not null;

-- What a memory was before each change; the present version is in memory itself.
create table memory_version (
  tenant_id text not null,
  agent_id text not null,
  memory_id text not null,
  version integer not null,
  content text not null,
  memory_type text,
  metadata jsonb not null,
  changed_by text not null,
  created_at timestamptz not null,
  bytes bigint not null generated always as (octet_length(content) + coalesce(octet_length(memory_type), 0)
    + case when metadata = '{}' then 0 else octet_length(metadata::text) end) stored,
  primary key (tenant_id, agent_id, memory_id, version)
);

-- What the vector index holds of a memory, kept by the indexer, so that the index can be rebuilt without embedding again.
-- A deleted memory leaves a removed entry, without content or vector, until the index has confirmed.
create table index_entry (
  tenant_id text not null,
  agent_id text not null,
  memory_id text not null,
  -- The memory's revision that is indexed, or that removed it.
  revision bigint not null,
  removed boolean not null default false,
  -- Is it in the agent's document_count, and with these terms in agent_term?
  counted boolean not null default false,
  term_ids bigint[] not null default '{}',
  -- Little-endian float32 of embedding_model, made from the content of content_revision.
  embedding bytea,
  embedding_model text,
  content_revision bigint,
  -- Why it is not indexed as it should be: the embedder refused the content, or it cannot be indexed now.
  error text,
  -- How often in a row it could not be, and when it is tried again; null: not before it changes.
  attempts integer not null default 0,
  retry_at timestamptz,
  -- Are its words not in the index either?
  words_failed boolean not null default false,
  published bigint,
  primary key (tenant_id, agent_id, memory_id)
);
create index index_entry_by_publication on index_entry (tenant_id, agent_id, published);
create index index_entry_by_retry on index_entry (tenant_id, retry_at) where retry_at is not null and not removed;
create index index_entry_removed on index_entry (tenant_id, agent_id, revision) where removed;

-- In how many of the agent's indexed memories a term stands. Never counted across agents or tenants.
create table agent_term (
  tenant_id text not null,
  agent_id text not null,
  term_id bigint not null,
  document_count integer not null,
  primary key (tenant_id, agent_id, term_id)
);

create table erasure (
  tenant_id text not null,
  erasure_id text not null,
  agent_id text not null,
  space_id text not null,
  status text not null check (status in ('pending', 'completed')),
  stores jsonb not null,
  requested_at timestamptz not null default now(),
  completed_at timestamptz,
  primary key (tenant_id, erasure_id)
);
create index erasure_by_completion on erasure (tenant_id, completed_at);
create index erasure_pending on erasure (requested_at) where status = 'pending';

-- A memory with how far the index is with it. As the invoker, so row level security holds.
create view stored_memory with (security_invoker = true) as
  select memory.*,
    case when memory.memory_type is null then memory.metadata
      else memory.metadata || jsonb_build_object('type', memory.memory_type) end as filterable,
    case when memory.revision > least(agent.indexed_revision, agent.embedded_revision) then 'pending'
      else coalesce((select case when entry.error is null then 'indexed'
          when entry.retry_at is not null and entry.attempts < 3 then 'pending' else 'failed' end
        from index_entry as entry where entry.tenant_id = memory.tenant_id and entry.agent_id = memory.agent_id
          and entry.memory_id = memory.memory_id), 'indexed') end as index_state
  from memory
  join agent on agent.tenant_id = memory.tenant_id and agent.agent_id = memory.agent_id;
grant select on stored_memory to agemem_app;

call isolate_by_tenant('agent');
call isolate_by_tenant('memory');
call isolate_by_tenant('memory_version');
call isolate_by_tenant('index_entry');
call isolate_by_tenant('agent_term');
call isolate_by_tenant('erasure');
