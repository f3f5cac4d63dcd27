create table tenant (
  tenant_id text not null primary key,
  name text not null,
  status text not null default 'active' check (status in ('active', 'deleting', 'deleted')),
  -- Null: no limit.
  requests_per_second integer check (requests_per_second > 0),
  memories_max bigint check (memories_max >= 0),
  stored_bytes_max bigint check (stored_bytes_max >= 0),
  model_tokens_per_day_max bigint check (model_tokens_per_day_max >= 0),
  -- How long is kept what nobody deletes, as sessions_days and the like; what is absent is kept for ever.
  retention jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index tenant_deleting on tenant (tenant_id) where status = 'deleting';
create index tenant_retaining on tenant (tenant_id) where status = 'active' and retention <> '{}';

create table api_key (
  tenant_id text not null,
  key_id text not null,
  name text not null,
  -- SHA-256 of a key with 256 random bits; the key itself is shown once and stored nowhere.
  key_hash bytea not null,
  scopes text[] not null,
  -- Null: every agent of the tenant.
  agent_ids text[],
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  -- End of the grace that a rotation gave it. Apart from expires_at, which its successor inherits.
  retires_at timestamptz,
  revoked_at timestamptz,
  rotated_from text,
  -- Whose Idempotency-Keys it continues: its own, or those of the first key that it descends from by rotation.
  key_space text not null,
  primary key (tenant_id, key_id)
);
create index api_key_by_hash on api_key (tenant_id, key_hash);

create table audit_event (
  tenant_id text not null,
  audit_event_id text not null,
  actor text not null,
  action text not null,
  target text not null,
  -- The agents that it is about and no others; null: the whole tenant.
  agent_ids text[],
  details jsonb not null default '{}',
  request_id text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, audit_event_id)
);
create index audit_event_by_creation on audit_event (tenant_id, created_at);

-- What this installation knows about itself: one row.
create table installation (
  only_row boolean not null primary key default true check (only_row),
  operator_key_hash bytea,
  -- Which index and embedder the clocks speak of; whoever runs with another one indexes nothing.
  index_signature text,
  -- Random, for what must not be guessed from outside, such as the salts of the model server's cache.
  secret text not null default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
  -- The collection the clocks speak of, the one under construction, and those that were left and are yet to be removed.
  index_serving text,
  index_building text,
  index_retired text[] not null default '{}',
  -- Somebody asked for a rebuild that has not begun yet.
  index_rebuild_wanted boolean not null default false,
  -- The one process at a time that builds, swaps and removes collections.
  index_keeper text,
  index_keeper_until timestamptz,
  created_at timestamptz not null default now()
);
insert into installation default values;
grant select, update on installation to agemem_app;

-- What was answered under an Idempotency-Key. Each API key has a space of its own for them, which its successors share.
create table idempotency_key (
  tenant_id text not null,
  key_space text not null,
  idempotency_key text not null,
  -- SHA-256 of method, path and body: the same key with another request is a mistake of the client.
  request_hash bytea not null,
  -- So that an erased agent leaves no stored answer behind.
  agent_id text,
  -- What the operation returned; the route renders it again. Null: it showed a memory that was deleted since.
  body json,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  bytes bigint not null generated always as
    (octet_length(idempotency_key) + coalesce(octet_length(body::text), 0)) stored,
  primary key (tenant_id, key_space, idempotency_key)
);
create index idempotency_key_by_expiry on idempotency_key (expires_at);
create index idempotency_key_by_creation on idempotency_key (tenant_id, created_at);
create index idempotency_key_by_agent on idempotency_key (tenant_id, agent_id);

-- The memories that a stored answer shows, so that it goes with any of them.
create table answer_memory (
  tenant_id text not null,
  key_space text not null,
  idempotency_key text not null,
  memory_id text not null,
  primary key (tenant_id, key_space, idempotency_key, memory_id),
  foreign key (tenant_id, key_space, idempotency_key) references idempotency_key on delete cascade
);
create index answer_memory_by_memory on answer_memory (tenant_id, memory_id);

-- A key is believed for a moment after its tenant's deletion has begun, and requests may be under way. What a tenant
-- begins with, an agent or a key, can come into being only while the tenant is active: the lock makes the deletion wait
-- for what is being written, so that it sees and erases all of it. All else hangs on an agent's or session's row.
create function ensure_tenant_active() returns trigger language plpgsql as $$
begin
  perform 1 from tenant where tenant_id = new.tenant_id and status = 'active' for share;
  if not found then
    raise exception 'the tenant is not active' using errcode = 'AM001';
  end if;
  return null;
end $$;
create trigger only_of_an_active_tenant after insert on api_key
  for each row execute function ensure_tenant_active();

call isolate_by_tenant('tenant');
call isolate_by_tenant('api_key');
call isolate_by_tenant('audit_event');
call isolate_by_tenant('idempotency_key');
call isolate_by_tenant('answer_memory');
