-- A tenant that is suspended keeps all it has, and its keys are refused. Processes that do not know the status take such
-- keys for unknown ones, so they may run on beside those that do.
alter table tenant drop constraint tenant_status_check,
  add constraint tenant_status_check check (status in ('active', 'suspended', 'deleting', 'deleted'));
