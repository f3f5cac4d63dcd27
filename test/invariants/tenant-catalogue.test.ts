/** What PostgreSQL's own catalogue says about tenant safety, so that a new table cannot forget it. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

/** Tables that belong to the installation and hold nothing of any tenant. */
const installationTables = ['installation', 'migration', 'schema_contract']

describe('the catalogue', () => {
  let test: TestDatabase
  let client: pg.Client
  const query = async (text: string): Promise<readonly Record<string, unknown>[]> => (await client.query(text)).rows

  beforeAll(async () => {
    test = await createTestDatabase()
    client = new pg.Client({ connectionString: test.url })
    await client.connect()
  })
  afterAll(async () => {
    await client.end()
    await test.drop()
  })

  it('T4: every table has a tenant_id with a forced policy, or is on the list of the installation', async () => {
    const tables = await query(`
      select class.relname as name, class.relrowsecurity and class.relforcerowsecurity as forced,
        exists (select 1 from pg_attribute where attrelid = class.oid and attname = 'tenant_id' and attnotnull) as tenanted,
        exists (select 1 from pg_policy where polrelid = class.oid and polname = 'tenant_isolation') as isolated
      from pg_class as class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = 'public' and relkind in ('r', 'p')`)
    expect(tables.length).toBeGreaterThan(10)
    const unsafe = tables.filter(({ forced, tenanted, isolated }) => !(forced && tenanted && isolated))
    expect(unsafe.map(({ name }) => name).sort()).toEqual(installationTables)
  })

  it('T4: every view runs with the rights of whoever asks', async () => {
    const views = await query(`
      select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = 'public' and relkind in ('v', 'm')
        and not coalesce(reloptions::text[] @> array['security_invoker=true'], false)`)
    expect(views).toEqual([])
  })

  it('every primary, foreign and unique key starts with tenant_id, so the tables distribute by tenant', async () => {
    const keys = await query(`
      select class.relname as name from pg_index
      join pg_class as class on class.oid = indrelid join pg_namespace on pg_namespace.oid = relnamespace
      left join pg_attribute on attrelid = indrelid and attnum = indkey[0]
      where nspname = 'public' and indisunique and attname is distinct from 'tenant_id'`)
    expect(keys.map(({ name }) => name).sort()).toEqual(installationTables)
    const foreign = await query(`
      select conname from pg_constraint join pg_attribute on attrelid = conrelid and attnum = conkey[1]
      where contype = 'f' and attname <> 'tenant_id'`)
    expect(foreign).toEqual([])
  })

  it('the roles of requests own no table, are no superuser and bypass nothing', async () => {
    const roles = await query(`
      select rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole,
        (select count(*)::int from pg_class where relowner = pg_roles.oid) as owned
      from pg_roles where rolname in ('agemem_app', 'agemem_background', 'agemem_system') order by rolname`)
    const harmless = { rolsuper: false, rolbypassrls: false, rolcanlogin: false, rolcreaterole: false, owned: 0 }
    expect(roles).toEqual([
      { rolname: 'agemem_app', ...harmless },
      { rolname: 'agemem_background', ...harmless },
      { rolname: 'agemem_system', ...harmless },
    ])
  })

  it('T1: the role that looks across tenants can read no content', async () => {
    const readable = await query(`
      select table_name || '.' || column_name as name from information_schema.column_privileges
      where grantee = 'agemem_system' and privilege_type = 'SELECT' order by 1`)
    const names = readable.map(({ name }) => String(name))
    expect(names).toContain('agent.revision')
    const columns = names.map((name) => name.split('.')[1])
    for (const secret of ['content', 'metadata', 'embedding', 'body', 'key_hash', 'arguments', 'result', 'details'])
      expect(columns).not.toContain(secret)
  })

  it('T1, T2: background work reads no row of any tenant, and requests not the secret of the installation', async () => {
    const granted = await query(`
      select distinct table_name as name from information_schema.column_privileges
      where grantee = 'agemem_background' order by 1`)
    expect(granted.map(({ name }) => name)).toEqual(installationTables)
    const [secret] = await query(
      `select has_column_privilege('agemem_app', 'installation', 'secret', 'select') as open`,
    )
    expect(secret).toEqual({ open: false })
  })

  it('T1: only background work may call the functions that look across tenants, and each fixes its search path', async () => {
    const functions = await query(`
      select proname, has_function_privilege('public', pg_proc.oid, 'execute') as open, proconfig::text as settings,
        has_function_privilege('agemem_app', pg_proc.oid, 'execute') as requests,
        has_function_privilege('agemem_background', pg_proc.oid, 'execute') as background
      from pg_proc join pg_namespace on pg_namespace.oid = pronamespace where nspname = 'public' and prosecdef`)
    expect(functions.length).toBeGreaterThan(5)
    for (const { proname, open, requests, background, settings } of functions) {
      // The one that requests may call answers yes or no.
      const isForRequests = proname === 'has_tenants'
      expect({ proname, open, requests, background }).toEqual({
        proname,
        open: false,
        requests: isForRequests,
        background: true,
      })
      expect(settings).toContain('search_path')
    }
  })
})
