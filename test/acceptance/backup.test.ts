/** The commands of docs/operations.md, as they stand there, on servers set up as docs/deployment.md says. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyCluster, findPrograms, initCluster, type SystemCluster, startCluster } from '../support/debian-postgres.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { startTestService, type TestService } from '../support/service.ts'
import { call, root } from '../support/service-process.ts'

const execute = promisify(execFile)
const passwords = {
  AGEMEM_OWNER_PASSWORD: 'one',
  AGEMEM_SERVICE_PASSWORD: 'two',
  AGEMEM_WORKER_PASSWORD: 'three',
  AGEMEM_BACKUP_PASSWORD: 'four',
}

/** The commands under a heading of a page. */
const readCommands = async (page: string, heading: string): Promise<string> => {
  const text = await readFile(join(root, 'docs', page), 'utf8')
  const [, commands] = new RegExp(`^#+ ${heading}$[^]*?^\`\`\`sh\\n([^]*?)^\`\`\``, 'm').exec(text) ?? []
  if (commands === undefined) throw new Error(`docs/${page} has no commands under "${heading}"`)
  return commands
}

let folder: string
let programs: string
const clusters: SystemCluster[] = []
const services: TestService[] = []

/** In the folder of the dumps, where `scripts/` is as in a checkout. */
const runCommands = (commands: string, { env }: SystemCluster) =>
  execute('bash', ['-euo', 'pipefail', '-c', commands.replaceAll('scripts/', join(root, 'scripts/'))], {
    cwd: folder,
    env: { AGEMEM_DATA_DIR: join(folder, 'embedded'), ...env, ...passwords },
  })

const openCluster = async (name: string): Promise<SystemCluster> => {
  const cluster = await startCluster(programs, join(folder, name))
  clusters.push(cluster)
  return cluster
}

const openService = async ({ urlOf }: SystemCluster, owner = 'agemem_owner'): Promise<TestService> => {
  const service = await startTestService({
    env: {
      AGEMEM_DATABASE_URL: urlOf('agemem_service'),
      AGEMEM_DATABASE_OWNER_URL: urlOf(owner),
      AGEMEM_DATABASE_BACKGROUND_URL: urlOf('agemem_worker'),
    },
    embedder: createFakeEmbedder(),
  })
  services.push(service)
  return service
}

beforeAll(async () => {
  programs = await findPrograms()
  folder = await mkdtemp(join(tmpdir(), 'agemem-backup-'))
  await execute('chmod', ['755', folder])
  await initCluster(programs, join(folder, 'one'))
  for (const name of ['two', 'embedded', 'own']) await copyCluster(join(folder, 'one'), join(folder, name))
}, 120_000)
afterAll(async () => {
  for (const service of services) await service.close().catch(() => undefined)
  for (const cluster of clusters) await cluster.stop()
  await rm(folder, { recursive: true, force: true })
}, 120_000)

describe('a backup that is made and restored by the commands of the documentation', () => {
  it('M1, T4, M7: brings every memory back on a fresh server, found, isolated and erasable', async () => {
    const first = await openCluster('one')
    await runCommands(await readCommands('deployment.md', 'A PostgreSQL of your own'), first)
    const before = await openService(first)
    const { key } = before
    const contents = ['The spare key is at Mia’s.', 'Ana is allergic to peanuts.', 'A text with "quotes", \\ and 天气.']
    for (const content of contents)
      expect((await call(before, '/v1/agents/a/memories', { body: { content } })).status).toBe(201)
    const backUp = await readCommands('operations.md', 'Back up')

    // The owner is no role to dump with, and what it leaves behind bears no name of a backup.
    const asOwner = runCommands(backUp.replaceAll('agemem_backup', 'agemem_owner'), first)
    await expect(asOwner).rejects.toMatchObject({ stderr: expect.stringMatching(/row-level security/) })
    expect(await readdir(folder)).not.toContain('agemem.dump')
    const erase = (agent: string) => call(before, `/v1/agents/${agent}`, { method: 'DELETE' })
    for (const agent of ['earlier', 'later'])
      expect((await call(before, `/v1/agents/${agent}/memories`, { body: { content: 'x' } })).status).toBe(201)
    expect((await erase('earlier')).status).toBe(202)
    const begun = new Date().toISOString()
    await runCommands(backUp, first)
    expect((await erase('later')).status).toBe(202)
    const sinceBackup = await readCommands('operations.md', 'Erasures since a backup')
    await runCommands(sinceBackup.replace('$AGEMEM_BACKUP_BEGUN', begun), first)
    const [head, ...erasures] = (await readFile(join(folder, 'erasures.csv'), 'utf8')).trimEnd().split('\n')
    expect(head).toBe('tenant_id,agent_id,erasure_id,requested_at')
    expect(erasures).toEqual([expect.stringMatching(/^ten_[0-9a-f]{32},later,era_[0-9a-f]{32},2/)])
    await before.close()

    const second = await openCluster('two')
    await runCommands(await readCommands('operations.md', 'Restore'), second)
    const after = { ...(await openService(second)), key }
    expect((await fetch(`${after.url}/health/ready`)).status).toBe(200)
    expect((await call(after, '/v1/agents/later', { method: 'DELETE' })).status).toBe(202)
    expect((await call(after, '/v1/agents/earlier', { method: 'DELETE' })).status).toBe(404)
    const listed = await (await call(after, '/v1/agents/a/memories')).json()
    expect((listed as { data: { content: string }[] }).data.map(({ content }) => content).sort()).toEqual(
      [...contents].sort(),
    )
    const found = await (await call(after, '/v1/agents/a/memories/search', { body: { query: 'peanuts' } })).json()
    expect(JSON.stringify(found)).toContain('Ana is allergic to peanuts.')

    const admin = new pg.Client({ connectionString: second.urlOf('postgres') })
    await admin.connect()
    const { rows } = await admin.query(`
      select relname from pg_class join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id'
      where relnamespace = 'public'::regnamespace and relkind = 'r' and not (relrowsecurity and relforcerowsecurity)`)
    expect(rows).toEqual([])
    expect((await call(after, '/v1/agents/a', { method: 'DELETE' })).status).toBeLessThan(300)
    await expect
      .poll(async () => (await admin.query(`select count(*)::integer as left from memory`)).rows[0])
      .toEqual({ left: 0 })
    await admin.end()
  }, 120_000)
})

describe('a move from the embedded database by the commands of the documentation', () => {
  it('M1, T4: brings every memory to a server where nothing belongs to a superuser', async () => {
    const embedded = await openCluster('embedded')
    const setUp = `psql --username=postgres --dbname=postgres --command='create role agemem superuser login' \
      --command='create role agemem_service login' --command='create role agemem_worker login' \
      --command='create database agemem owner agemem'`
    await runCommands(setUp, embedded)
    await symlink(join(folder, 'embedded/data'), join(folder, 'embedded/postgres'))
    await writeFile(join(folder, 'embedded/data/agemem-password'), 'any')
    const before = await openService(embedded, 'agemem')
    const content = 'The spare key is at Mia’s.'
    expect((await call(before, '/v1/agents/a/memories', { body: { content } })).status).toBe(201)
    await runCommands(await readCommands('operations.md', 'Dump it'), embedded)
    await before.close()

    const own = await openCluster('own')
    await runCommands(await readCommands('operations.md', 'Restore it there'), own)
    const after = { ...(await openService(own)), key: before.key }
    expect((await fetch(`${after.url}/health/ready`)).status).toBe(200)
    const found = await (await call(after, '/v1/agents/a/memories/search', { body: { query: 'spare key' } })).json()
    expect(JSON.stringify(found)).toContain(content)
  }, 120_000)
})
