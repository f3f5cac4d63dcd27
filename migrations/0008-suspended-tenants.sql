-- A tenant that is suspended keeps all it has, and its keys are refused. Processes that do not know the status take such
-- keys for unknown ones, so they may run on beside those that do.
alter table tenant drop constraint tenant_status_check,
  add constraint tenant_status_check check (status in ('active', 'suspended', 'deleting', 'deleted'));

-- What was under way when it was suspended may end; only a deletion has to see all there is.
create or replace function ensure_tenant_active() returns trigger language plpgsql as $$
begin
  perform 1 from tenant where tenant_id = new.tenant_id and status in ('active', 'suspended') for share;
  if not found then
    raise exception 'the tenant is being deleted' using errcode = 'AM001';
  end if;
  return null;
end $$;
