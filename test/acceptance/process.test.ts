/** The service as a process of its own: started, stopped, refused to start, over HTTP and signals alone. */
import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createTestDatabase } from '../support/database.ts'
import {
  call,
  createProcesses,
  endOf,
  findPlainUid,
  isAlive,
  type Launched,
  postgresPidOf,
} from '../support/service-process.ts'

const { makeFolder, launch, start, end } = createProcesses()

/** Nothing of the launched process's group is left, and no database either. */
const expectNothingLeft = async (launched: Launched): Promise<void> => {
  await expect.poll(() => isAlive(-(launched.child.pid ?? 0))).toBe(false)
  const postgresPid = postgresPidOf(launched)
  expect(postgresPid).toBeGreaterThan(0)
  await expect.poll(() => isAlive(postgresPid)).toBe(false)
}

// Starts of the service one after another and side by side: the runner's limit is for tests that start none.
describe('the process', { timeout: 180_000 }, () => {
  afterEach(end, 60_000)

  it('npm start runs as root or a user, side by side on two folders, and leaves nothing on SIGTERM or SIGINT', async () => {
    const uid = await findPlainUid()
    const [one, two] = await Promise.all([
      start({ by: 'npm', env: { AGEMEM_DATA_DIR: await makeFolder() } }),
      start({ by: 'npm', env: { AGEMEM_DATA_DIR: await makeFolder(uid) }, uid }),
    ])
    expect((await call(one, '/v1/agents/a/memories', { body: { content: 'only in one' } })).status).toBe(201)
    expect((await call(two, '/v1/agents/a/memories', { body: { content: 'only in two' } })).status).toBe(201)
    const exported = await Promise.all(
      [one, two].map(async (service) => (await call(service, '/v1/agents/a/memories/export')).text()),
    )
    expect(exported.map((text) => text.match(/only in \w+/g))).toEqual([['only in one'], ['only in two']])
    expect((await call({ ...two, key: one.key }, '/v1/usage')).status).toBe(401)
    // To npm alone, as a supervisor does; to the whole group, as Ctrl-C in a terminal does.
    one.child.kill('SIGTERM')
    process.kill(-(two.child.pid ?? 0), 'SIGINT')
    await Promise.all([endOf(one.child), endOf(two.child)])
    await expectNothingLeft(one)
    await expectNothingLeft(two)
  })

  it('a stop during the start ends it with 0 and leaves no database', async () => {
    const launched = launch({ env: { AGEMEM_DATA_DIR: await makeFolder() } })
    await expect.poll(launched.output, { timeout: 60_000 }).toContain('the embedded database is up')
    launched.child.kill('SIGTERM')
    expect([await endOf(launched.child), launched.output()]).toEqual([0, expect.not.stringContaining('listening on')])
    await expectNothingLeft(launched)
  })

  it('says that the port is taken and exits with 1, having shown the first keys, which nothing shows again', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const database = await createTestDatabase()
    const { child, output } = launch({ env: { ...database.env, AGEMEM_PORT: String(port) } })
    expect(await endOf(child)).toBe(1)
    expect(output()).toContain(`Port ${port} on 127.0.0.1 is taken. Set AGEMEM_PORT to another, or to 0.\n`)
    expect(output()).not.toMatch(/^ +at /m)
    expect(output()).toMatch(/^operator key: agmop_\S+\ntenant key: agm_\S+$/m)
    server.close()
    await database.drop()
  })

  it('says that its data folder cannot be written, or is none, and exits with 1', async () => {
    const folder = await makeFolder()
    const file = join(folder, 'file')
    await writeFile(file, '')
    await chmod(folder, 0o555)
    const uid = await findPlainUid()
    const locked = launch({ env: { AGEMEM_DATA_DIR: folder }, uid })
    const inner = launch({ env: { AGEMEM_DATA_DIR: join(folder, 'inner') }, uid })
    const taken = launch({ env: { AGEMEM_DATA_DIR: file } })
    expect(await Promise.all([locked, inner, taken].map(({ child }) => endOf(child)))).toEqual([1, 1, 1])
    for (const { output } of [locked, inner]) expect(output()).toMatch(/is not writable: .*AGEMEM_DATA_DIR/)
    expect(taken.output()).toMatch(/file cannot be made a folder: point AGEMEM_DATA_DIR elsewhere/)
  })

  it('lists every mistake of its configuration in one message, and exits with 1', async () => {
    const { child, output } = launch({
      env: { AGEMEM_PORT: 'x', AGEMEM_LOG_LEVEL: 'loud', AGEMEM_DATA_DIRR: '/tmp' },
    })
    expect(await endOf(child)).toBe(1)
    for (const mistake of ['AGEMEM_PORT', 'AGEMEM_LOG_LEVEL', 'did you mean AGEMEM_DATA_DIR?'])
      expect(output()).toContain(mistake)
  })
})
