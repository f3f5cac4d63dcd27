/** PostgreSQL is killed under load: what clients see meanwhile, and what is there afterwards. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OwnDatabase, startOnOwnDatabase, type TestService } from '../support/service.ts'
import { call } from '../support/service-process.ts'

type Refusal = {
  readonly status: number
  readonly retryAfter: string | null
  readonly type: string
  readonly code: string
}

describe('a database that is killed under load', () => {
  let own: OwnDatabase
  let service: TestService

  beforeAll(async () => {
    own = await startOnOwnDatabase()
    service = own.service
  }, 90_000)
  afterAll(() => own?.close(), 60_000)

  const path = '/v1/agents/a/memories'
  const acknowledged: string[] = []
  const doubtful = new Set<string>()
  const refusals: Refusal[] = []

  /** Writes until told to end. With a key it repeats what was refused until it is acknowledged; without, it goes on. */
  const write = async (worker: number, isOver: () => boolean): Promise<void> => {
    const hasKey = worker % 2 === 0
    for (let at = 0; !isOver(); at += 1) {
      const content = `fact ${worker}-${at}`
      const headers: Record<string, string> = hasKey ? { 'idempotency-key': content.replace(' ', '-') } : {}
      for (;;) {
        const response = await call(service, path, { body: { content }, headers })
        const body = (await response.json()) as { code: string }
        if (response.status === 201) {
          acknowledged.push(content)
          break
        }
        const type = response.headers.get('content-type') ?? ''
        refusals.push({
          status: response.status,
          retryAfter: response.headers.get('retry-after'),
          type: type.split(';')[0] ?? '',
          code: body.code,
        })
        if (!hasKey && body.code === 'database.commit_unknown') doubtful.add(content)
        if (!hasKey) break
      }
    }
  }

  it('M1, M2: refuses with 503 while it is away, recovers by itself, and holds every acknowledged write once', async () => {
    let isOver = false
    const writers = Promise.all([0, 1, 2, 3, 4, 5].map((worker) => write(worker, () => isOver)))
    const readiness = async () => (await fetch(`${service.url}/health/ready`)).status
    for (let kills = 0; kills < 2; kills += 1) {
      const before = acknowledged.length
      await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 30)
      const refusedBefore = refusals.length
      process.kill(own.postgres.pid, 'SIGKILL')
      await expect.poll(() => refusals.length).toBeGreaterThan(refusedBefore)
      await expect.poll(readiness).toBe(200)
    }
    const after = acknowledged.length
    await expect.poll(() => acknowledged.length).toBeGreaterThan(after + 30)
    isOver = true
    await writers

    for (const refusal of refusals)
      expect(refusal).toEqual({
        status: 503,
        retryAfter: '1',
        type: 'application/problem+json',
        code: expect.stringMatching(/^database\.(unavailable|commit_unknown)$/),
      })
    const lines = (await (await call(service, `${path}/export`)).text()).trim().split('\n')
    const stored = lines.map((line) => String(JSON.parse(line).content))
    expect(new Set(stored).size).toBe(stored.length)
    expect(acknowledged.filter((content) => !stored.includes(content))).toEqual([])
    const unexpected = stored.filter((content) => !acknowledged.includes(content) && !doubtful.has(content))
    expect(unexpected).toEqual([])
    // A lease whose grant went down with the database is known to nobody, and ends by itself in a minute.
    await expect
      .poll(async () => (await (await call(service, '/v1/agents/a')).json()) as object, { timeout: 80_000 })
      .toMatchObject({ memory_count: stored.length, index_lag: 0 })
  }, 180_000)
})
