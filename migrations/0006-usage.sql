-- What a tenant stores, counted in the transaction that stores it. Each change of a table that holds tenants' content
-- leaves a row in usage_delta, by a trigger, so that no writer can forget it and no two writers wait for each other.
-- What is stored is, at every moment, the sum of usage_delta and of agent_usage, into which the deltas are folded.
--
-- Quotas: at the commit of a transaction that adds to what a limited tenant has, the row of tenant_usage is locked, the
-- deltas are folded, and the sum is compared. It is the last lock that a transaction takes, and nobody who holds it waits
-- for another, so it has a place in no circle. Tenants without limits never take it, nor does who only removes.
create table usage_delta (
  tenant_id text not null,
  delta_id bigint not null generated always as identity,
  -- Empty: of no agent.
  agent_id text not null,
  kind text not null,
  items bigint not null,
  bytes bigint not null,
  primary key (tenant_id, delta_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create table agent_usage (
  tenant_id text not null,
  agent_id text not null,
  kind text not null,
  items bigint not null,
  bytes bigint not null,
  primary key (tenant_id, agent_id, kind)
);

-- The sum of a tenant's agent_usage, which changes under this row's lock alone.
create table tenant_usage (
  tenant_id text not null primary key,
  memories bigint not null default 0,
  stored_bytes bigint not null default 0
);

call isolate_by_tenant('usage_delta');
call isolate_by_tenant('agent_usage');
call isolate_by_tenant('tenant_usage');

-- Of tables whose rows name their agent; the trigger's argument is the kind.
create function count_of_agent() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into usage_delta (tenant_id, agent_id, kind, items, bytes)
    select tenant_id, coalesce(agent_id, ''), tg_argv[0], count(*), sum(bytes) from come group by tenant_id, agent_id;
  elsif tg_op = 'DELETE' then
    insert into usage_delta (tenant_id, agent_id, kind, items, bytes)
    select tenant_id, coalesce(agent_id, ''), tg_argv[0], -count(*), -sum(bytes) from gone group by tenant_id, agent_id;
  else
    insert into usage_delta (tenant_id, agent_id, kind, items, bytes)
    select tenant_id, coalesce(agent_id, ''), tg_argv[0], 0, sum(bytes) from (
      select tenant_id, agent_id, bytes from come union all select tenant_id, agent_id, -bytes from gone
    ) as changed group by tenant_id, agent_id having sum(bytes) <> 0;
  end if;
  return null;
end $$;

-- Of tables whose rows name their session: deleted before it, or what they took would be nobody's.
create function count_of_session() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into usage_delta (tenant_id, agent_id, kind, items, bytes)
    select tenant_id, coalesce((select session.agent_id from session where session.tenant_id = changed.tenant_id
      and session.session_id = changed.session_id), ''), tg_argv[0], items, bytes
    from (select tenant_id, session_id, count(*) as items, sum(bytes) as bytes from come group by tenant_id, session_id)
      as changed;
  else
    insert into usage_delta (tenant_id, agent_id, kind, items, bytes)
    select tenant_id, coalesce((select session.agent_id from session where session.tenant_id = changed.tenant_id
      and session.session_id = changed.session_id), ''), tg_argv[0], -items, -bytes
    from (select tenant_id, session_id, count(*) as items, sum(bytes) as bytes from gone group by tenant_id, session_id)
      as changed;
  end if;
  return null;
end $$;

-- What reading a session's context takes: its messages, and for each what is around its texts.
create function count_context() returns trigger language plpgsql as $$
declare
  around constant bigint := 256;
begin
  if tg_op = 'INSERT' then
    update session set context_bytes = context_bytes + changed.bytes
    from (select tenant_id, session_id, sum(bytes + around) as bytes from come where state = 'in_context'
      group by tenant_id, session_id) as changed
    where session.tenant_id = changed.tenant_id and session.session_id = changed.session_id;
  else
    update session set context_bytes = context_bytes + changed.bytes
    from (
      select tenant_id, session_id, sum(bytes) as bytes from (
        select tenant_id, session_id, bytes + around as bytes from come where state = 'in_context'
        union all select tenant_id, session_id, -bytes - around from gone where state = 'in_context'
      ) as moved group by tenant_id, session_id having sum(bytes) <> 0
    ) as changed
    where session.tenant_id = changed.tenant_id and session.session_id = changed.session_id;
  end if;
  return null;
end $$;

do $$
declare
  counted record;
begin
  for counted in select * from (values
    ('memory', 'memories', 'count_of_agent'), ('memory_version', 'memory_versions', 'count_of_agent'),
    ('session', 'sessions', 'count_of_agent'), ('idempotency_key', 'answers', 'count_of_agent'),
    ('message', 'messages', 'count_of_session'), ('context_edit', 'edits', 'count_of_session'),
    ('step', 'steps', 'count_of_session'), ('tool_call', 'tool_calls', 'count_of_session'),
    ('reward', 'rewards', 'count_of_session')) as of_table (name, kind, function)
  loop
    execute format('create trigger count_new after insert on %I referencing new table as come '
      'for each statement execute function %I(%L)', counted.name, counted.function, counted.kind);
    execute format('create trigger count_gone after delete on %I referencing old table as gone '
      'for each statement execute function %I(%L)', counted.name, counted.function, counted.kind);
  end loop;
  -- The others never change in size.
  for counted in select * from (values ('memory', 'memories'), ('idempotency_key', 'answers')) as of_table (name, kind)
  loop
    execute format('create trigger count_changed after update on %I referencing old table as gone new table as come '
      'for each statement execute function count_of_agent(%L)', counted.name, counted.kind);
  end loop;
end $$;
create trigger count_context_new after insert on message referencing new table as come
  for each statement execute function count_context();
create trigger count_context_moved after update on message referencing old table as gone new table as come
  for each statement execute function count_context();

-- Folds up to row_limit deltas, the oldest first; null: all. Answers what the tenant has by then.
create function fold_usage(target text, row_limit integer)
returns table (folded bigint, memories bigint, stored_bytes bigint) language plpgsql as $$
begin
  insert into tenant_usage (tenant_id) values (target) on conflict do nothing;
  perform 1 from tenant_usage where tenant_id = target for update;
  return query
    with taken as (
      delete from usage_delta where tenant_id = target and delta_id in (
        select delta_id from usage_delta where tenant_id = target order by delta_id limit row_limit)
      returning agent_id, kind, items, bytes
    ), kept as (
      insert into agent_usage as known (tenant_id, agent_id, kind, items, bytes)
      select target, agent_id, kind, sum(items), sum(bytes) from taken group by agent_id, kind
      on conflict (tenant_id, agent_id, kind) do update set items = known.items + excluded.items,
        bytes = known.bytes + excluded.bytes
    )
    update tenant_usage as total set
      memories = total.memories + (select coalesce(sum(items) filter (where kind = 'memories'), 0) from taken),
      stored_bytes = total.stored_bytes + (select coalesce(sum(bytes), 0) from taken)
    where total.tenant_id = target
    returning (select count(*) from taken), total.memories, total.stored_bytes;
end $$;

-- Runs at the commit. Refuses with AM002, the quota as its message and the limit as its detail.
create function ensure_quotas() returns trigger language plpgsql as $$
declare
  limits record;
  added record;
  used record;
begin
  select memories_max, stored_bytes_max into limits from tenant where tenant_id = new.tenant_id;
  if not found or (limits.memories_max is null and limits.stored_bytes_max is null) then return null; end if;
  -- Once for a transaction: the first one folds what the others brought.
  perform 1 from usage_delta where tenant_id = new.tenant_id and delta_id = new.delta_id;
  if not found then return null; end if;
  select coalesce(sum(items) filter (where kind = 'memories'), 0) as memories, coalesce(sum(bytes), 0) as bytes
    into added from usage_delta where tenant_id = new.tenant_id and xmin = pg_current_xact_id()::xid;
  if added.memories <= 0 and added.bytes <= 0 then return null; end if;
  select * into used from fold_usage(new.tenant_id, null);
  if added.memories > 0 and used.memories > limits.memories_max then
    raise exception 'memories' using errcode = 'AM002', detail = limits.memories_max::text;
  end if;
  if added.bytes > 0 and used.stored_bytes > limits.stored_bytes_max then
    raise exception 'stored_bytes' using errcode = 'AM002', detail = limits.stored_bytes_max::text;
  end if;
  return null;
end $$;
create constraint trigger within_quotas after insert on usage_delta deferrable initially deferred
  for each row execute function ensure_quotas();

-- Tenants whose deltas wait to be folded: one step of an index for each.
grant select (tenant_id) on usage_delta to agemem_system;
create policy system_reads on usage_delta for select to agemem_system using (true);
create function find_unfolded_tenants(row_limit integer) returns table (tenant_id text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  with recursive step (tenant_id) as (
    (select delta.tenant_id from public.usage_delta as delta order by delta.tenant_id limit 1)
    union all
    select (select delta.tenant_id from public.usage_delta as delta where delta.tenant_id > step.tenant_id
      order by delta.tenant_id limit 1)
    from step where step.tenant_id is not null
  )
  select step.tenant_id from step where step.tenant_id is not null limit row_limit
$$;
revoke all on function find_unfolded_tenants(integer) from public;
grant execute on function find_unfolded_tenants(integer) to agemem_background;
grant create on schema public to agemem_system;
alter function find_unfolded_tenants(integer) owner to agemem_system;
revoke create on schema public from agemem_system;

-- The planner keeps samples of what it analyses, word for word, and erases none: so it analyses no column that can hold
-- what a tenant wrote. Of texts there are left ids, hashes and words of our own.
do $$
declare
  secret record;
begin
  for secret in
    select class.relname as table_name, attname as column_name from pg_attribute
    join pg_class as class on class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = 'public' and relkind = 'r' and attnum > 0 and not attisdropped
      and class.relname not in ('installation', 'migration')
      and atttypid in ('text'::regtype, 'text[]'::regtype, 'json'::regtype, 'jsonb'::regtype, 'bytea'::regtype,
        'integer[]'::regtype, 'double precision[]'::regtype)
      and attname not in ('tenant_id', 'agent_id', 'session_id', 'memory_id', 'message_id', 'edit_id', 'step_id',
        'reward_id', 'key_id', 'key_space', 'audit_event_id', 'erasure_id', 'space_id', 'run_id', 'undone_by', 'status',
        'state', 'role', 'door')
      and not (attname = 'kind' and class.relname <> 'memory')
  loop
    execute format('alter table %I alter column %I set statistics 0', secret.table_name, secret.column_name);
  end loop;
end $$;

update schema_contract set process_min = 6;
