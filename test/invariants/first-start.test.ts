import { Writable } from 'node:stream'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { createIdempotency } from '../../src/modules/idempotency/idempotency.service.ts'
import { createTenantService } from '../../src/modules/tenant/tenant.service.ts'
import { createService } from '../../src/services.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { createId } from '../../src/shared/ids.ts'
import { createTestDatabase } from '../support/database.ts'
import { createFakeEmbedder } from '../support/fake-embedder.ts'
import { connect } from '../support/postgres.ts'

describe('the first start of an installation', () => {
  const start = async (count: number, isOperatorKeyGiven: boolean) => {
    const test = await createTestDatabase()
    const database = connect(test.url, { poolMax: 2 })
    const tenants = createTenantService({
      database,
      idempotency: createIdempotency({ database, ttlSeconds: 60 }),
      clock: systemClock,
      createId,
      logger: pino({ level: 'silent' }),
      eraseAgents: async () => {},
      onChange: () => {},
    })
    try {
      const given = Array.from({ length: count }, () => tenants.ensureFirst({ isOperatorKeyGiven }))
      const first = await Promise.all(given)
      const { data } = await tenants.list({ cursor: null, limit: 10 })
      return { first, again: await tenants.ensureFirst({ isOperatorKeyGiven: false }), tenants: data }
    } finally {
      await database.close()
      await test.drop()
    }
  }

  it('makes one tenant and one operator key, however many processes start at once', async () => {
    const { first, again, tenants } = await start(8, false)
    expect(first.filter(({ tenantKey }) => tenantKey !== null)).toHaveLength(1)
    expect(first.filter(({ operatorKey }) => operatorKey !== null)).toHaveLength(1)
    expect(tenants.map(({ name }) => name)).toEqual(['default'])
    expect(again).toEqual({ tenantKey: null, operatorKey: null })
  })

  it('makes no operator key where one is configured, and one as soon as none is', async () => {
    const { first, again } = await start(1, true)
    expect(first).toMatchObject([{ operatorKey: null }])
    expect(first[0]?.tenantKey).toMatch(/^agm_[A-Za-z0-9_-]{64}$/)
    expect(again.tenantKey).toBeNull()
    expect(again.operatorKey).toMatch(/^agmop_[A-Za-z0-9_-]{43}$/)
  })
})

describe('the log of a start', () => {
  const errorsOf = async (env: Readonly<Record<string, string>>): Promise<readonly Record<string, unknown>[]> => {
    const lines: string[] = []
    const sink = new Writable({
      write: (chunk, _, done) => {
        lines.push(String(chunk))
        done()
      },
    })
    const given = { embedder: createFakeEmbedder() }
    const service = await createService(loadConfig(env), pino({ level: 'error' }, sink), given)
    await service.close()
    return lines.map((line) => JSON.parse(line))
  }

  it('T2: says once, as an error, which role is wanted where the login is the superuser or the owner, and why', async () => {
    const test = await createTestDatabase()
    const [error, ...others] = await errorsOf({ ...test.env, AGEMEM_DATABASE_URL: test.url })
    await test.drop()
    expect(others).toEqual([])
    expect(error?.level).toBe(50)
    for (const part of ['is a superuser', 'agemem_app', 'row level security'])
      expect(error?.detail).toEqual(expect.stringContaining(part))
  })

  it('holds no error where the logins are those of the documentation', async () => {
    const test = await createTestDatabase()
    expect(await errorsOf(test.env)).toEqual([])
    await test.drop()
  })
})
