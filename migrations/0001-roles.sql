-- Four roles share the work, so that no single mistake shows one tenant to another:
--   the owner (whoever runs this)  owns the tables and nothing runs as it afterwards
--   agemem_app                     runs every request; owns nothing, no BYPASSRLS, sees one tenant at a time
--   agemem_background              runs what belongs to no tenant; sees no tenant's rows, calls the functions below
--   agemem_system                  owns the few functions that look across tenants; sees ids and clocks, never content
do $$
declare
  -- From 16 on whoever creates a role may grant it, but may not become it unasked.
  usable text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
  needed text;
begin
  foreach needed in array array['agemem_app', 'agemem_background', 'agemem_system'] loop
    begin
      execute format('create role %I nologin', needed);
    exception when duplicate_object or unique_violation then null;
    end;
    if not pg_has_role(current_user, needed, usable) then
      execute format('grant %I to %I', needed, current_user);
    end if;
  end loop;
end $$;

grant usage on schema public to agemem_app, agemem_background, agemem_system;

-- What the schema asks of the processes that run on it: to know at least the migration of this number. A migration that
-- older processes cannot live with sets it to its own number in its last statement; they then stop serving and say why.
-- One that adds what older processes never look at leaves it alone, and they run on.
create table schema_contract (
  only_row boolean not null primary key default true check (only_row),
  process_min integer not null
);
insert into schema_contract (process_min) values (1);
grant select on schema_contract, migration to agemem_app, agemem_background;

-- The tenant of the transaction. Unset is an error, never "all".
create function current_tenant() returns text language plpgsql stable as $$
declare
  tenant text := nullif(current_setting('agemem.tenant_id', true), '');
begin
  if tenant is null then
    raise exception 'no tenant is set for this transaction' using errcode = 'insufficient_privilege';
  end if;
  return tenant;
end $$;

-- Every table with a tenant_id goes through here: row level security for the app, forced on the owner too.
create procedure isolate_by_tenant(target regclass) language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format(
    'create policy tenant_isolation on %s to agemem_app using (tenant_id = (select current_tenant())) '
    'with check (tenant_id = (select current_tenant()))', target);
  execute format('grant select, insert, update, delete on %s to agemem_app', target);
end $$;
