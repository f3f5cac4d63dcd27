-- Three roles share the work, so that no single mistake shows one tenant to another:
--   the owner (whoever runs this)  owns the tables and nothing runs as it afterwards
--   agemem_app                     runs every request; owns nothing, no BYPASSRLS, sees one tenant at a time
--   agemem_system                  owns the few functions that look across tenants; sees ids and clocks, never content
do $$
declare
  -- From 16 on whoever creates a role may grant it, but may not become it unasked.
  usable text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  begin
    create role agemem_app nologin;
  exception when duplicate_object or unique_violation then null;
  end;
  begin
    create role agemem_system nologin;
  exception when duplicate_object or unique_violation then null;
  end;
  if not pg_has_role(current_user, 'agemem_app', usable) then
    execute format('grant agemem_app to %I', current_user);
  end if;
  if not pg_has_role(current_user, 'agemem_system', usable) then
    execute format('grant agemem_system to %I', current_user);
  end if;
end $$;

grant usage on schema public to agemem_app, agemem_system;

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
