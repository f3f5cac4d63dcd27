-- Every role of an installation. Run by a superuser with psql 15 or newer, before the first start on a server and before
-- a restore on a fresh one: a dump holds no roles. May be run again; it then sets passwords and rights anew.
--
--   agemem_owner     login, migrates and owns the tables       AGEMEM_DATABASE_OWNER_URL
--   agemem_service   login, requests                           AGEMEM_DATABASE_URL
--   agemem_worker    login, what belongs to no tenant          AGEMEM_DATABASE_BACKGROUND_URL
--   agemem_backup    login, reads everything and writes nothing, for pg_dump alone
--
-- Passwords come from the environment, so that no list of processes shows them.
\set ON_ERROR_STOP on
\getenv owner_password AGEMEM_OWNER_PASSWORD
\getenv service_password AGEMEM_SERVICE_PASSWORD
\getenv worker_password AGEMEM_WORKER_PASSWORD
\getenv backup_password AGEMEM_BACKUP_PASSWORD

begin;

select format('create role %I', name) from unnest(array['agemem_owner', 'agemem_service', 'agemem_worker',
  'agemem_backup', 'agemem_app', 'agemem_background', 'agemem_system']) as name
where not exists (select from pg_roles where rolname = name) \gexec

alter role agemem_owner with login createrole nosuperuser nobypassrls password :'owner_password';
alter role agemem_service with login nosuperuser nocreaterole nobypassrls password :'service_password';
alter role agemem_worker with login nosuperuser nocreaterole nobypassrls password :'worker_password';
-- Row level security is forced on the owner too, so a dump needs a role that sees past it. Nothing else uses it.
alter role agemem_backup with login nosuperuser nocreaterole bypassrls password :'backup_password';
grant pg_read_all_data to agemem_backup;

grant agemem_app, agemem_background, agemem_system to agemem_owner with admin option;
grant agemem_app to agemem_service;
grant agemem_background to agemem_worker;

commit;
