-- The only statements that look across tenants. They run as agemem_system, whose column grants are the proof that no
-- content passes: ids, clocks and counts is all it can read.
grant select (tenant_id, name, status, requests_per_second, memories_max, stored_bytes_max, model_tokens_per_day_max,
  retention, created_at, updated_at) on tenant to agemem_system;
grant select (tenant_id, agent_id, space_id, revision, indexed_revision, embedded_revision, built_revision,
  build_goal, lease_token, lease_until, memory_count),
  update (lease_token, lease_until, indexed_revision, embedded_revision, built_revision, build_goal, part_revision,
    part_memory_id)
  on agent to agemem_system;
grant select (tenant_id, agent_id, retry_at, removed) on index_entry to agemem_system;
grant select (index_signature) on installation to agemem_system;
grant select (tenant_id, agent_id, memory_id, expires_at) on memory to agemem_system;
grant select (tenant_id, erasure_id, status, requested_at) on erasure to agemem_system;
grant select (tenant_id, expires_at) on idempotency_key to agemem_system;

create policy system_reads on tenant for select to agemem_system using (true);
create policy system_leases on agent to agemem_system using (true);
create policy system_reads on memory for select to agemem_system using (true);
create policy system_reads on index_entry for select to agemem_system using (true);
create policy system_reads on erasure for select to agemem_system using (true);
create policy system_reads on idempotency_key for select to agemem_system using (true);

-- Leases an agent whose words (or, when their words are up to date, whose vectors) the index lacks. Tenants take turns:
-- that of the first tenant after the one that was served last, and of its agents the one served longest ago; whose agents
-- wait by the thousand has one turn like everybody. Tenants that have their share under way are passed over. The token
-- fences: a holder whose lease ran out can no longer move the clock. Only for the index and embedder that the clocks
-- speak of.
create function lease_agent(lease_ms integer, for_vectors boolean, signature text, after_tenant_id text,
  passed_over text[])
returns table (tenant_id text, agent_id text, space_id text, lease_token bigint)
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  update public.agent as leased
  set lease_token = leased.lease_token + 1, lease_until = clock_timestamp() + make_interval(secs => lease_ms / 1000.0)
  from (
    select found.tenant_id, found.agent_id
    from (values (after_tenant_id, null), ('', after_tenant_id)) as turn(after, up_to), lateral (
      select behind.tenant_id, behind.agent_id from public.agent as behind
      where (behind.revision > behind.indexed_revision or behind.revision > behind.embedded_revision)
        and (behind.revision > behind.indexed_revision) = (not for_vectors)
        and behind.tenant_id > turn.after and (turn.up_to is null or behind.tenant_id <= turn.up_to)
        and behind.tenant_id <> all(passed_over)
        and (behind.lease_until is null or behind.lease_until < clock_timestamp())
        and exists (select from public.installation where coalesce(index_signature, signature) = signature)
      order by (behind.revision > behind.indexed_revision), behind.tenant_id, behind.lease_until nulls first
      limit 1 for update skip locked
    ) as found
    limit 1
  ) as chosen
  where leased.tenant_id = chosen.tenant_id and leased.agent_id = chosen.agent_id
  returning leased.tenant_id, leased.agent_id, leased.space_id, leased.lease_token
$$;

-- The same for an agent with a memory that could not be indexed and whose time to be tried again has come.
create function lease_for_retry(lease_ms integer, signature text, after_tenant_id text, passed_over text[])
returns table (tenant_id text, agent_id text, space_id text, lease_token bigint)
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  update public.agent as leased
  set lease_token = leased.lease_token + 1, lease_until = clock_timestamp() + make_interval(secs => lease_ms / 1000.0)
  from (
    select found.tenant_id, found.agent_id
    from (values (after_tenant_id, null), ('', after_tenant_id)) as turn(after, up_to), lateral (
      select due.tenant_id, due.agent_id from public.index_entry as due
      join public.agent as owner on owner.tenant_id = due.tenant_id and owner.agent_id = due.agent_id
      where due.retry_at <= clock_timestamp() and not due.removed
        and due.tenant_id > turn.after and (turn.up_to is null or due.tenant_id <= turn.up_to)
        and due.tenant_id <> all(passed_over)
        and (owner.lease_until is null or owner.lease_until < clock_timestamp())
        and exists (select from public.installation where coalesce(index_signature, signature) = signature)
      order by due.tenant_id, due.retry_at
      limit 1 for update of owner skip locked
    ) as found
    limit 1
  ) as chosen
  where leased.tenant_id = chosen.tenant_id and leased.agent_id = chosen.agent_id
  returning leased.tenant_id, leased.agent_id, leased.space_id, leased.lease_token
$$;

-- How far the index is behind, over everybody: for metrics, so without a tenant.
create function index_lag() returns table (agents_behind bigint, revisions_behind numeric)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select count(*), coalesce(sum(revision - least(indexed_revision, embedded_revision)), 0) from public.agent
  where revision > indexed_revision or revision > embedded_revision
$$;

create function find_expired(row_limit integer) returns table (tenant_id text, agent_id text, memory_id text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select tenant_id, agent_id, memory_id from public.memory
  where expires_at <= clock_timestamp() order by expires_at limit row_limit
$$;

create function find_pending_erasures(row_limit integer) returns table (tenant_id text, erasure_id text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select tenant_id, erasure_id from public.erasure where status = 'pending' order by requested_at limit row_limit
$$;

create function find_deleting_tenants(row_limit integer) returns table (tenant_id text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select tenant_id from public.tenant where status = 'deleting' order by tenant_id limit row_limit
$$;

-- Tenants with stored answers whose time is over.
create function find_expired_answers(row_limit integer) returns table (tenant_id text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select distinct expired.tenant_id from (
    select tenant_id from public.idempotency_key where expires_at <= clock_timestamp() order by expires_at limit row_limit
  ) as expired
$$;

create function find_retaining_tenants(after_tenant_id text, row_limit integer) returns table (tenant_id text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select tenant_id from public.tenant
  where status = 'active' and retention <> '{}' and tenant_id > after_tenant_id order by tenant_id limit row_limit
$$;

create function list_tenants(after_tenant_id text, row_limit integer)
returns table (tenant_id text, name text, status text, requests_per_second integer, memories_max bigint,
  stored_bytes_max bigint, model_tokens_per_day_max bigint, retention jsonb, created_at timestamptz,
  updated_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select tenant_id, name, status, requests_per_second, memories_max, stored_bytes_max, model_tokens_per_day_max,
    retention, created_at, updated_at
  from public.tenant where tenant_id > after_tenant_id order by tenant_id limit row_limit
$$;

-- For the first start, which makes the first tenant as any request would. Yes or no is all that it tells.
create function has_tenants() returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from public.tenant)
$$;

-- These change what all clocks say. Each takes the leases away, so that nobody who read a clock before moves it after,
-- and lets none be taken for a while where the index itself is about to be another one. Each locks the agents by their
-- ids first, the order in which an insert for several agents takes them, so that the two never wait in a circle.

-- Starts every clock over: the indexer then writes everything to the index again.
create function restart_clocks(pause_ms integer) returns bigint
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select 1 from public.agent where revision > 0 order by tenant_id, agent_id for no key update;
  with restarted as (
    update public.agent set indexed_revision = 0, embedded_revision = 0, part_revision = 0, part_memory_id = '',
      lease_token = lease_token + 1,
      lease_until = clock_timestamp() + make_interval(secs => pause_ms / 1000.0)
    where revision > 0 returning 1
  )
  select count(*) from restarted
$$;

-- Starts the vectors' clocks over, for another embedder.
create function restart_vectors() returns bigint
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select 1 from public.agent where revision > 0 order by tenant_id, agent_id for no key update;
  with restarted as (
    update public.agent set embedded_revision = 0, lease_token = lease_token + 1, lease_until = null
    where revision > 0 returning 1
  )
  select count(*) from restarted
$$;

-- Starts the clocks of an index under construction. For another embedder everything has to be in it, else what has
-- words and vectors.
create function begin_build(for_other_embedder boolean) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select 1 from public.agent order by tenant_id, agent_id for no key update;
  update public.agent set built_revision = 0,
    build_goal = case when for_other_embedder then revision else least(indexed_revision, embedded_revision) end
$$;

-- Makes the clocks speak of the index that was under construction.
create function adopt_build(pause_ms integer) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select 1 from public.agent where revision > 0 order by tenant_id, agent_id for no key update;
  update public.agent set indexed_revision = least(indexed_revision, built_revision),
    embedded_revision = least(embedded_revision, built_revision), part_revision = 0, part_memory_id = '',
    lease_token = lease_token + 1,
    lease_until = clock_timestamp() + make_interval(secs => pause_ms / 1000.0)
  where revision > 0
$$;

-- Ends a pause.
create function release_leases() returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select 1 from public.agent where lease_until > clock_timestamp() order by tenant_id, agent_id for no key update;
  update public.agent set lease_until = null where lease_until > clock_timestamp()
$$;

-- Does the index under construction hold what was there when it was begun, and of each agent all of what the one that
-- serves holds but lag_max revisions?
create function is_build_ready(for_other_embedder boolean, lag_max bigint) returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select not exists (
    select from public.agent where built_revision < build_goal or built_revision + lag_max <
      case when for_other_embedder then indexed_revision else least(indexed_revision, embedded_revision) end
  )
$$;

create function count_indexable_agents() returns bigint
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select count(*) from public.agent where revision > 0
$$;

-- Every agent with its clock, for the reconciler and the operator's rebuild.
create function list_agent_clocks(after_tenant_id text, after_agent_id text, row_limit integer)
returns table (tenant_id text, agent_id text, space_id text, revision bigint, indexed_revision bigint,
  embedded_revision bigint, built_revision bigint, memory_count bigint)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select tenant_id, agent_id, space_id, revision, indexed_revision, embedded_revision, built_revision, memory_count
  from public.agent
  where (tenant_id, agent_id) > (after_tenant_id, after_agent_id) order by tenant_id, agent_id limit row_limit
$$;

grant create on schema public to agemem_system;
do $$
declare
  signature text;
begin
  foreach signature in array array['lease_agent(integer, boolean, text, text, text[])',
    'lease_for_retry(integer, text, text, text[])', 'index_lag()', 'find_expired(integer)',
    'find_pending_erasures(integer)', 'find_deleting_tenants(integer)', 'find_expired_answers(integer)',
    'find_retaining_tenants(text, integer)', 'list_tenants(text, integer)', 'has_tenants()',
    'restart_clocks(integer)', 'restart_vectors()', 'begin_build(boolean)', 'adopt_build(integer)', 'release_leases()',
    'is_build_ready(boolean, bigint)', 'count_indexable_agents()', 'list_agent_clocks(text, text, integer)']
  loop
    execute format('revoke all on function %s from public', signature);
    execute format('grant execute on function %s to agemem_background', signature);
    execute format('alter function %s owner to agemem_system', signature);
  end loop;
end $$;
revoke create on schema public from agemem_system;

grant execute on function has_tenants() to agemem_app;

-- Requests read of the installation what their statements compare with, and the first start records its operator's key.
revoke all on installation from agemem_app;
grant select (only_row, operator_key_hash, index_signature, index_serving, index_building), update (operator_key_hash)
  on installation to agemem_app;
grant select, update on installation to agemem_background;

update schema_contract set process_min = 5;
