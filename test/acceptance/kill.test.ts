/** What kill -9 of the service may cost: nothing that was acknowledged. */
import { afterEach, describe, expect, it } from 'vitest'
import { type QdrantStandIn, startQdrantStandIn } from '../support/qdrant-stand-in.ts'
import { call, createProcesses, endOf } from '../support/service-process.ts'

const { makeFolder, start, end } = createProcesses()

/** Of each of four clients: what is stored is embedded before the index agrees. */
const writesMax = 60

describe.each(['exact', 'qdrant'])('kill -9 over the %s index', (driver) => {
  let qdrant: QdrantStandIn | undefined

  afterEach(async () => {
    await end()
    await qdrant?.stop()
  }, 60_000)

  it('M1, M3, M5: no acknowledged write is lost or doubled, nothing deleted comes back, the index follows', async () => {
    qdrant = driver === 'qdrant' ? await startQdrantStandIn() : undefined
    const operatorKey = `opk_${'a'.repeat(64)}`
    const env = {
      AGEMEM_DATA_DIR: await makeFolder(),
      AGEMEM_OPERATOR_KEY: operatorKey,
      ...(qdrant && { AGEMEM_QDRANT_URL: qdrant.url }),
    }
    const first = await start({ env })
    const { key } = first
    const written = new Set<string>()
    const deleted = new Set<string>()
    const path = '/v1/agents/a/memories'
    /** Every third memory that it wrote is deleted again. */
    const work = async (worker: number) => {
      for (let at = 0; at < writesMax; at += 1) {
        const content = `fact ${worker}-${at}`
        const added = await call(first, path, { body: { content } }).catch(() => null)
        if (added === null) return
        if (added.status !== 201) continue
        written.add(content)
        if (at % 3 !== 0) continue
        const { memory_id: memoryId } = (await added.json()) as { memory_id: string }
        written.delete(content)
        const gone = await call(first, `${path}/${memoryId}`, { method: 'DELETE', headers: { 'if-match': '*' } }).catch(
          () => null,
        )
        if (gone === null) return
        if (gone.status === 204) deleted.add(content)
      }
    }
    const workers = Promise.all([0, 1, 2, 3].map(work))
    await expect.poll(() => Math.min(written.size, 3 * deleted.size)).toBeGreaterThan(40)
    first.child.kill('SIGKILL')
    await workers
    await endOf(first.child)

    const second = await start({ env, key })
    const lines = (await (await call(second, `${path}/export`)).text()).trim().split('\n')
    const stored = lines.map((line) => String(JSON.parse(line).content))
    expect(stored.filter((content) => written.has(content)).sort()).toEqual([...written].sort())
    expect(stored.filter((content) => deleted.has(content))).toEqual([])
    expect(new Set(stored).size).toBe(stored.length)
    const [someDeleted = ''] = deleted
    const search = { query: someDeleted, top_k: 100, mode: 'keyword' }
    const found = await (await call(second, `${path}/search`, { body: search })).json()
    const contents = (found as { results: { memory: { content: string } }[] }).results.map((hit) => hit.memory.content)
    expect(contents.length).toBeGreaterThan(0)
    expect(contents.filter((content) => deleted.has(content))).toEqual([])
    const consistency = async () => (await call({ ...second, key: operatorKey }, '/v1/admin/consistency')).json()
    await expect
      .poll(consistency, { timeout: 90_000, interval: 250 })
      .toMatchObject({ consistent: true, agents_behind: 0, memories_checked: stored.length })
    second.child.kill('SIGTERM')
    expect(await endOf(second.child)).toBe(0)
  }, 180_000)
})
