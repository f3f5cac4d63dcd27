import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { createIdempotency } from '../../src/modules/idempotency/idempotency.service.ts'
import { createTenantService } from '../../src/modules/tenant/tenant.service.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { createId } from '../../src/shared/ids.ts'
import { createTestDatabase } from '../support/database.ts'
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
