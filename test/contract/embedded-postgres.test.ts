import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/drivers/database/embedded-postgres.ts'
import { inspectProcess } from '../../src/drivers/database/embedded-process.ts'

const logger = pino({ level: 'silent' })
const ownerScript = fileURLToPath(new URL('../support/embedded-owner.ts', import.meta.url))

/** One cluster for the tests that leave it whole: to make one takes longer than to run it. */
let shared: string
let folder: string
const started: EmbeddedPostgres[] = []
const owners: ChildProcess[] = []
const orphans: number[] = []

beforeAll(async () => {
  shared = await realpath(await mkdtemp(join(tmpdir(), 'agemem-test-')))
})

afterAll(() => rm(shared, { recursive: true, force: true }))

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'agemem-test-')))
})

afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill('SIGKILL')
  await Promise.allSettled(started.splice(0).map((postgres) => postgres.stop()))
  for (const pid of orphans.splice(0)) if (await isRunning(pid)) process.kill(pid, 'SIGQUIT')
  await rm(folder, { recursive: true, force: true })
})

const start = async (dataDir: string, signal?: AbortSignal): Promise<EmbeddedPostgres> => {
  const postgres = await startEmbeddedPostgres({ dataDir, logger, signal })
  started.push(postgres)
  return postgres
}

/** A cluster as the shared one is when it is stopped: copied in less time than one is made. */
const copyShared = async (dataDir: string): Promise<void> => {
  await (await start(shared)).stop()
  await cp(join(shared, 'postgres'), join(dataDir, 'postgres'), { recursive: true })
}

type OwnerLine = { url: string; pid: number; code?: string; detail?: string }

/** A service in a process group of its own, that a test may kill. */
const startOwner = async (dataDir: string): Promise<{ owner: ChildProcess; line: OwnerLine }> => {
  const args = ['--import', 'tsx', ownerScript, dataDir]
  const owner = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  owners.push(owner)
  const [line] = await once(createInterface({ input: owner.stdout }), 'line')
  const answer = JSON.parse(String(line)) as OwnerLine
  if (answer.code === undefined) orphans.push(answer.pid)
  return { owner, line: answer }
}

const kill = async (owner: ChildProcess): Promise<void> => {
  const exited = once(owner, 'exit')
  owner.kill('SIGKILL')
  await exited
}

const query = async (url: string, text: string): Promise<readonly Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const exists = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

describe('who a process is', () => {
  it('is told for one that is there, of whichever account, and for none that is gone, or no process at all', async () => {
    expect(await inspectProcess(process.pid)).toMatchObject({ startedAt: expect.stringMatching(/\d/) })
    expect(await inspectProcess(1)).toBeDefined()
    const ended = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' })
    await once(ended, 'exit')
    for (const pid of [ended.pid ?? 0, 0, -1, 4_194_304]) expect(await inspectProcess(pid)).toBeUndefined()
  })
})

const socketFolderOf = (url: string): string => new URL(url.replace('@/', '@local/')).searchParams.get('host') ?? ''
const isRunning = async (pid: number): Promise<boolean> => (await inspectProcess(pid)) !== undefined
const failure = { code: 'database.embedded_failed', status: 503 }

describe('start and stop', () => {
  it('answers on a private unix socket only, durably, with its own role and database', async () => {
    const postgres = await start(folder)
    const [row] = await query(
      postgres.url,
      `select 1 as one, current_user, current_database(), inet_server_addr() as address, lower('ÄÖ') as folded,
        current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous,
        current_setting('listen_addresses') as listens, current_setting('server_encoding') as encoding`,
    )
    expect(row).toEqual({
      ...{ one: 1, current_user: 'agemem', current_database: 'agemem', address: null, folded: 'äö' },
      ...{ fsync: 'on', synchronous: 'on', listens: '', encoding: 'UTF8' },
    })
    expect((await stat(socketFolderOf(postgres.url))).mode & 0o777).toBe(0o700)
    expect((await stat(join(folder, 'postgres/agemem-password'))).mode & 0o777).toBe(0o600)
  })

  it('refuses a login without the password, even to one who reaches the socket', async () => {
    const { url } = await start(shared)
    await expect(query(url.replace(/:[0-9a-f]{48}@/, ':wrong@'), 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  it('keeps the data over a restart, in a folder with spaces and given as a relative path', async () => {
    const dataDir = join(relative(process.cwd(), folder), 'my data, here')
    const first = await start(dataDir)
    await query(first.url, 'create table kept as select 42 as answer')
    await first.stop()
    const second = await start(dataDir)
    expect(second.adopted).toBe(false)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('leaves no process, socket or lock behind after stop, and lets stop be called again', async () => {
    const postgres = await start(folder)
    const client = new pg.Client({ connectionString: postgres.url })
    client.on('error', () => undefined)
    await client.connect()
    await postgres.stop()
    await postgres.stop()
    expect(await isRunning(postgres.pid)).toBe(false)
    expect(await exists(socketFolderOf(postgres.url))).toBe(false)
    expect((await readdir(folder)).sort()).toEqual(['postgres', 'postgres.log'])
  })

  it('an aborted start leaves nothing running and the folder free', async () => {
    await expect(start(folder, AbortSignal.timeout(150))).rejects.toMatchObject({ name: 'TimeoutError' })
    expect((await readdir(folder)).join()).not.toContain('lock')
    const postgres = await start(folder)
    expect(postgres.adopted).toBe(false)
  })

  it('truncates a log of more than 10 MB', async () => {
    await writeFile(join(shared, 'postgres.log'), Buffer.alloc(11 * 1024 * 1024, 'x'))
    await start(shared)
    expect((await stat(join(shared, 'postgres.log'))).size).toBeLessThan(10_000)
  })

  it('keeps statements and values out of the log', async () => {
    const { url } = await start(shared)
    await query(url, "create table once (word text primary key); insert into once values ('hush')")
    await expect(query(url, "insert into once values ('hush')")).rejects.toMatchObject({ code: '23505' })
    const log = await readFile(join(shared, 'postgres.log'), 'utf8')
    expect(log).toContain('duplicate key')
    expect(log).not.toContain('hush')
  })
})

describe('a service that was killed', () => {
  it('leaves a server that the next start adopts as it runs, with its data, and stops', async () => {
    const { owner, line } = await startOwner(shared)
    await query(line.url, 'drop table if exists kept; create table kept as select 42 as answer')
    await kill(owner)
    expect(await isRunning(line.pid)).toBe(true)
    const adopter = await start(shared)
    expect(adopter).toMatchObject({ adopted: true, pid: line.pid, url: line.url })
    expect(await query(adopter.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    await adopter.stop()
    expect(await isRunning(line.pid)).toBe(false)
    expect(await exists(socketFolderOf(line.url))).toBe(false)
  })

  it('leaves a server that the next start replaces when its socket is gone', async () => {
    const { owner, line } = await startOwner(shared)
    await kill(owner)
    await rm(socketFolderOf(line.url), { recursive: true })
    const adopting = await start(shared)
    expect(adopting.adopted).toBe(false)
    expect(await isRunning(line.pid)).toBe(false)
    expect(await query(adopting.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('and whose server was killed too loses nothing that was committed', async () => {
    const { owner, line } = await startOwner(shared)
    await query(line.url, 'drop table if exists kept; create table kept as select 42 as answer')
    await kill(owner)
    process.kill(line.pid, 'SIGKILL')
    const postgres = await start(shared)
    expect(postgres.adopted).toBe(false)
    expect(await query(postgres.url, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(await exists(socketFolderOf(line.url))).toBe(false)
  })

  it('frees its folder though a statement of its still runs in a backend without a server', async () => {
    const { owner, line } = await startOwner(shared)
    const client = new pg.Client({ connectionString: line.url })
    client.on('error', () => undefined)
    await client.connect()
    const running = client.query('select sum(i) from generate_series(1, 3000000) i').catch(() => undefined)
    await kill(owner)
    process.kill(line.pid, 'SIGKILL')
    const postgres = await start(shared)
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }])
    await running
  })

  it('does not take the server with it on Ctrl-C', async () => {
    const { owner, line } = await startOwner(shared)
    process.kill(-(owner.pid ?? 0), 'SIGINT')
    expect(await query(line.url, 'select 1 as one')).toEqual([{ one: 1 }])
    await kill(owner)
    expect((await start(shared)).pid).toBe(line.pid)
  })
})

describe('what an earlier start left', () => {
  it('a postmaster.pid that cannot be read is no word that the server is gone: it is left, and the start refused', async () => {
    const { owner, line } = await startOwner(shared)
    await kill(owner)
    const file = join(shared, 'postgres/postmaster.pid')
    await rename(file, `${file}.aside`)
    await mkdir(file)
    await expect(start(shared)).rejects.toMatchObject(failure)
    expect(await isRunning(line.pid)).toBe(true)
    expect(await exists(socketFolderOf(line.url))).toBe(true)
    await rmdir(file)
    await rename(`${file}.aside`, file)
    expect(await start(shared)).toMatchObject({ adopted: true, pid: line.pid })
  })

  it('a stale postmaster.pid that now names a stranger is dropped, and the stranger lives', async () => {
    await (await start(shared)).stop()
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    owners.push(stranger)
    await once(stranger, 'spawn')
    const text = `${stranger.pid}\n${join(shared, 'postgres')}\n1700000000\n5432\n${shared}\n\n 1 1\nready   \n`
    await writeFile(join(shared, 'postgres/postmaster.pid'), text)
    const postgres = await start(shared)
    expect(postgres.adopted).toBe(false)
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await isRunning(stranger.pid ?? 0)).toBe(true)
  })

  it('a server that is killed under a living service comes back under the same URL, with all that was committed', async () => {
    const postgres = await start(shared)
    await query(postgres.url, 'create table if not exists revived as select 1 as kept')
    for (let kills = 0; kills < 2; kills += 1) {
      const killed = postgres.pid
      process.kill(killed, 'SIGKILL')
      const answers = () => query(postgres.url, 'select kept from revived').catch((error) => error)
      await expect.poll(() => postgres.pid).not.toBe(killed)
      expect(await answers()).toEqual([{ kept: 1 }])
    }
    const last = postgres.pid
    await postgres.stop()
    expect(await isRunning(last)).toBe(false)
    expect(await exists(socketFolderOf(postgres.url))).toBe(false)
  })

  it('an empty postmaster.pid does not keep the database down', async () => {
    await (await start(shared)).stop()
    await writeFile(join(shared, 'postgres/postmaster.pid'), '')
    expect(await query((await start(shared)).url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('a cluster whose making was cut short is made again, and what was there is kept aside', async () => {
    await mkdir(join(folder, 'postgres/base'), { recursive: true })
    await writeFile(join(folder, 'postgres/PG_VERSION'), '18\n')
    await mkdir(join(folder, 'postgres.init-abc123/cluster'), { recursive: true })
    const { url } = await start(folder)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    const names = await readdir(folder)
    const aside = names.find((name) => name.startsWith('postgres.broken-')) ?? 'missing'
    expect(await readdir(join(folder, aside))).toEqual(['PG_VERSION', 'base'])
    expect(names.filter((name) => name.startsWith('postgres.init-'))).toEqual([])
  })

  it('a service killed while it makes the cluster leaves nothing that stops the next one', async () => {
    const owner = spawn(process.execPath, ['--import', 'tsx', ownerScript, folder], { stdio: 'ignore' })
    owners.push(owner)
    await expect.poll(async () => (await readdir(folder)).join(), { interval: 2 }).toContain('.init-')
    await kill(owner)
    expect(await exists(join(folder, 'postgres'))).toBe(false)
    expect(await query((await start(folder)).url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('a damaged cluster is left alone and the error says what to do', async () => {
    await copyShared(folder)
    await rm(join(folder, 'postgres/global/pg_control'))
    await expect(start(folder)).rejects.toMatchObject({ ...failure, detail: expect.stringContaining('backup') })
    expect(await exists(join(folder, 'postgres/agemem-password'))).toBe(true)
  })

  it('a cluster of another major version is left alone and the error names both', async () => {
    await copyShared(folder)
    await writeFile(join(folder, 'postgres/PG_VERSION'), '17\n')
    await expect(start(folder)).rejects.toMatchObject({ ...failure, detail: expect.stringMatching(/17 .* 18/) })
  })

  it('a cluster that was copied with looser permissions still starts', async () => {
    await (await start(shared)).stop()
    await chmod(join(shared, 'postgres'), 0o755)
    expect((await start(shared)).adopted).toBe(false)
  })
})

describe('several services', () => {
  it('a second one on the same folder is refused, in this process or another, and the first is not disturbed', async () => {
    const { url, pid } = await start(shared)
    const refused = { ...failure, detail: expect.stringContaining(`pid ${process.pid}`) }
    await expect(start(shared)).rejects.toMatchObject(refused)
    const { line } = await startOwner(shared)
    expect(line).toMatchObject({ code: failure.code, detail: expect.stringContaining(`pid ${process.pid}`) })
    expect(await isRunning(pid)).toBe(true)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('of many that start at once on one folder exactly one wins, also over the lock of a dead one', async () => {
    const { owner } = await startOwner(shared)
    await kill(owner)
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => start(shared)))
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', ...Array(4).fill('rejected')])
  })

  it('a holder that cannot be looked up counts as dead once it has not touched its lock for long', async () => {
    const lock = join(shared, 'postgres.lock-another')
    await writeFile(
      lock,
      JSON.stringify({ pid: process.pid, startedAt: '1', machine: 'another container', isHeld: true }),
    )
    await utimes(lock, new Date(), new Date(Date.now() - 60_000))
    expect((await start(shared)).adopted).toBe(false)
  })

  it('a holder that cannot be looked up counts as alive while it touches its lock', async () => {
    const lock = join(shared, 'postgres.lock-another')
    await writeFile(lock, JSON.stringify({ pid: 1, startedAt: '1', machine: 'another container', isHeld: true }))
    const timer = setInterval(() => void utimes(lock, new Date(), new Date()), 100)
    await expect(start(shared)).rejects.toMatchObject(failure)
    clearInterval(timer)
  })

  it('on two folders run side by side, each with its own data', async () => {
    const [one, two] = await Promise.all([start(join(folder, 'one')), start(join(folder, 'two'))])
    await query(one.url, 'create table mine (id int)')
    await expect(query(two.url, 'select * from mine')).rejects.toMatchObject({ code: '42P01' })
    expect(one.pid).not.toBe(two.pid)
  })
})

describe('a folder that does not do', () => {
  it('is named, with what to do about it', async () => {
    const file = join(folder, 'a-file')
    await writeFile(file, '')
    const named = { ...failure, detail: expect.stringMatching(/a-file.*AGEMEM_DATA_DIR.*AGEMEM_DATABASE_URL/) }
    await expect(start(file)).rejects.toMatchObject(named)
    await expect(start(join(file, 'below'))).rejects.toMatchObject(named)
  })

  it('is refused when it is not writable', async () => {
    const refused = { ...failure, detail: expect.stringMatching(/is not writable.*AGEMEM_DATA_DIR/) }
    await expect(start(process.platform === 'linux' ? '/sys' : '/System')).rejects.toMatchObject(refused)
  })
})
