/** The service as a process of its own: started, killed, started again, over HTTP alone. */
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { startQdrantStandIn } from '../support/qdrant-stand-in.ts'
import { call, cleanUpProcesses, ended, launch, makeFolder, start } from '../support/service-process.ts'

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('the process', () => {
  afterEach(cleanUpProcesses)

  it('M1: every write that was acknowledged survives kill -9 in the middle of writes, exactly once', async () => {
    const dataDir = await makeFolder()
    const first = await start({ AGEMEM_DATA_DIR: dataDir })
    const key = first.key ?? ''
    const acknowledged = new Set<string>()
    const write = async (worker: number) => {
      for (let at = 0; ; at += 1) {
        const content = `fact ${worker}-${at}`
        const response = await call(first.url, key, '/v1/agents/a/memories', { content }).catch(() => null)
        if (response === null) return
        if (response.status === 201) acknowledged.add(content)
      }
    }
    const writers = Promise.all([0, 1, 2, 3].map(write))
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(40)
    first.child.kill('SIGKILL')
    await writers
    await ended(first.child)

    const second = await start({ AGEMEM_DATA_DIR: dataDir })
    expect(second.key).toBeNull()
    const lines = (await (await call(second.url, key, '/v1/agents/a/memories/export')).text()).trim().split('\n')
    const stored = lines.map((line) => String(JSON.parse(line).content))
    expect(stored.filter((content) => acknowledged.has(content)).sort()).toEqual([...acknowledged].sort())
    second.child.kill('SIGTERM')
    expect(await ended(second.child)).toBe(0)
  })

  it('M1, M5: kill -9 in the middle of writes with Qdrant loses none, and after the restart the index is consistent', async () => {
    const qdrant = await startQdrantStandIn()
    const operatorKey = `opk_${'a'.repeat(64)}`
    const env = { AGEMEM_DATA_DIR: await makeFolder(), AGEMEM_QDRANT_URL: qdrant.url, AGEMEM_OPERATOR_KEY: operatorKey }
    try {
      const first = await start(env)
      const key = first.key ?? ''
      const acknowledged = new Set<string>()
      const write = async (worker: number) => {
        for (let at = 0; ; at += 1) {
          const content = `fact ${worker}-${at}`
          const response = await call(first.url, key, '/v1/agents/a/memories', { content }).catch(() => null)
          if (response === null) return
          if (response.status === 201) acknowledged.add(content)
        }
      }
      const writers = Promise.all([0, 1, 2].map(write))
      const points = () => qdrant.collections.get(qdrant.aliases.get('agemem') ?? '')?.points.size ?? 0
      await expect.poll(points, { timeout: 20_000 }).toBeGreaterThan(10)
      first.child.kill('SIGKILL')
      await writers
      await ended(first.child)

      const second = await start(env)
      const lines = (await (await call(second.url, key, '/v1/agents/a/memories/export')).text()).trim().split('\n')
      const stored = lines.map((line) => String(JSON.parse(line).content))
      expect(stored.filter((content) => acknowledged.has(content)).sort()).toEqual([...acknowledged].sort())
      const clean = { consistent: true, agents_behind: 0, memories_checked: stored.length }
      await expect
        .poll(async () => (await call(second.url, operatorKey, '/v1/admin/consistency')).json(), {
          timeout: 60_000,
          interval: 500,
        })
        .toMatchObject(clean)
      expect(points()).toBe(stored.length)
    } finally {
      await cleanUpProcesses()
      await qdrant.stop()
    }
  }, 120_000)

  it('stops on SIGTERM with exit code 0, and its database with it', async () => {
    const running = await start({ AGEMEM_DATA_DIR: await makeFolder(), AGEMEM_LOG_LEVEL: 'info' })
    const postgresPid = Number(/"postgresPid":(\d+)/.exec(running.output())?.[1])
    expect(isAlive(postgresPid)).toBe(true)
    running.child.kill('SIGTERM')
    expect(await ended(running.child)).toBe(0)
    await expect.poll(() => isAlive(postgresPid)).toBe(false)
  })

  it('says that the port is taken and exits with 1', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { child, output } = launch({ AGEMEM_DATA_DIR: await makeFolder(), AGEMEM_PORT: String(port) })
    expect(await ended(child)).toBe(1)
    expect(output()).toContain(`Port ${port} on 127.0.0.1 is taken`)
    server.close()
  })

  it('lists every mistake of its configuration in one message, and exits with 1', async () => {
    const { child, output } = launch({ AGEMEM_PORT: 'x', AGEMEM_LOG_LEVEL: 'loud', AGEMEM_DATA_DIRR: '/tmp' })
    expect(await ended(child)).toBe(1)
    for (const mistake of ['AGEMEM_PORT', 'AGEMEM_LOG_LEVEL', 'did you mean AGEMEM_DATA_DIR?'])
      expect(output()).toContain(mistake)
  })
})
