/** The embedded database of a service, looked at from outside: its processes, and its tables as the superuser. */
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'

const database = 'agemem'
const queryTimeoutMs = 60_000
const port = 5432

type Postmaster = { readonly pid: number; readonly socketDir: string }

/** Null while no server runs on the folder. */
export const readPostmaster = async (dataDir: string): Promise<Postmaster | null> => {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid = '', , , , socketDir = ''] = text.split('\n')
  return Number(pid) > 0 && socketDir !== '' ? { pid: Number(pid), socketDir } : null
}

/** Also of the folder's server alone: a pid that another program has by now is none. */
const isServerOf = async (pid: number, dataDir: string): Promise<boolean> => {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return command.includes('postgres') && command.includes(dataDir)
}

const childrenOf = async (parent: number): Promise<readonly number[]> => {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.map(Number).filter((pid) => pid > 0)
  const parents = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    }),
  )
  return pids.filter((_, at) => parents[at] === parent)
}

/** Sends a signal to the server, and to its processes where asked. @returns whether there was one */
export const signalDatabase = async (
  dataDir: string,
  signal: NodeJS.Signals,
  whom: 'server' | 'all' = 'server',
): Promise<boolean> => {
  const postmaster = await readPostmaster(dataDir)
  if (postmaster === null || !(await isServerOf(postmaster.pid, dataDir))) return false
  const pids = [postmaster.pid, ...(whom === 'all' ? await childrenOf(postmaster.pid) : [])]
  for (const pid of pids)
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended meanwhile.
    }
  return true
}

const superuser = 'agemem'

type Login = { readonly name: string; readonly password: string }

const urlOf = async (dataDir: string, { name, password }: Login): Promise<string> => {
  const postmaster = await readPostmaster(dataDir)
  if (postmaster === null) throw new Error(`No database runs on ${dataDir}.`)
  const host = encodeURIComponent(postmaster.socketDir)
  return `postgresql://${name}:${password}@/${database}?host=${host}&port=${port}&sslmode=disable`
}

const superuserUrlOf = async (dataDir: string): Promise<string> => {
  const password = (await readFile(join(dataDir, 'postgres', 'agemem-password'), 'utf8')).trim()
  return urlOf(dataDir, { name: superuser, password })
}

/** One statement as the superuser, on a connection of its own. */
export const queryAs = async <Row extends object>(
  dataDir: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> => {
  const client = new pg.Client({
    connectionString: await superuserUrlOf(dataDir),
    connectionTimeoutMillis: 10_000,
    query_timeout: queryTimeoutMs,
  })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row & pg.QueryResultRow>(text, [...values])).rows
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** For a second process of the service on the same database: a login without rights, beside the one that migrates. */
export const secondProcessSettings = async (dataDir: string): Promise<Record<string, string>> => {
  const login = { name: 'chaos_service', password: randomBytes(16).toString('hex') }
  await queryAs(dataDir, `create role ${login.name} login password '${login.password}'`)
  return {
    AGEMEM_DATABASE_URL: await urlOf(dataDir, login),
    AGEMEM_DATABASE_OWNER_URL: await superuserUrlOf(dataDir),
  }
}

/** Deadlocks that the database has broken since it began to count. */
export const countDeadlocks = async (dataDir: string): Promise<number> => {
  const [row] = await queryAs<{ deadlocks: string }>(
    dataDir,
    'select coalesce(sum(deadlocks), 0) as deadlocks from pg_stat_database',
  )
  return Number(row?.deadlocks ?? 0)
}

const tablesStatement = `select format('%I.%I', schemaname, relname) as name from pg_stat_user_tables order by 1`

/**
 * Every row of every table and of the planner's statistics in which the text stands. The text is sent in two halves, so
 * that the search itself does not put it where it is looked for.
 */
export const findInTables = async (dataDir: string, text: string): Promise<readonly string[]> => {
  const halves = [text.slice(0, 4), text.slice(4)]
  const tables = await queryAs<{ name: string }>(dataDir, tablesStatement)
  const found: string[] = []
  for (const name of [...tables.map((table) => table.name), 'pg_catalog.pg_stats']) {
    const [row] = await queryAs<{ count: string }>(
      dataDir,
      `select count(*) as count from ${name} as held
        where strpos(lower(to_jsonb(held)::text), lower($1::text || $2::text)) > 0`,
      halves,
    )
    if (Number(row?.count ?? 0) > 0) found.push(`${name}: ${row?.count} rows`)
  }
  return found
}
