import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { renewSession } from '../../src/modules/policy/run.repository.ts'
import { withSessionLease } from '../../src/modules/policy/session-lease.ts'
import type { Database } from '../../src/ports/database.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

describe('the lease of a session', () => {
  let modules: TestModules

  beforeAll(async () => {
    modules = await createTestModules()
  })
  afterAll(() => modules.close())

  it('ends with its run, also when the database was away just then', async () => {
    const { database, sessions, contexts } = modules
    const caller = await modules.makeCaller()
    await sessions.create(caller, { agentId: 'a', sessionId: 's' }, contexts.startContext([]))
    let isAway = false
    const transact: Database['transact'] = async (...args) => {
      if (isAway) throw new Error('the database is away')
      return database.transact(...args)
    }
    const holding = { caller, sessionId: 's' }
    const run = withSessionLease({ ...database, transact }, { ...holding, runId: 'run_1' }, async () => {
      isAway = true
      throw new Error('the run broke off')
    })
    await expect(run).rejects.toThrow('the run broke off')
    const next = () => withSessionLease(database, { ...holding, runId: 'run_2' }, async () => 'taken')
    await expect(next()).rejects.toMatchObject({ code: 'session.busy' })
    isAway = false
    await expect.poll(() => next().catch(() => 'busy'), { timeout: 5_000 }).toBe('taken')
  })

  it('is not taken back by a renewal that arrives when its run has ended', async () => {
    const { database, sessions, contexts } = modules
    const caller = await modules.makeCaller()
    await sessions.create(caller, { agentId: 'a', sessionId: 's' }, contexts.startContext([]))
    const held = { caller, sessionId: 's' }
    await withSessionLease(database, { ...held, runId: 'run_1' }, async () => 'ended')
    await database.transact(caller.tenantId, (tx) =>
      renewSession(tx, { sessionId: 's', runId: 'run_1', leaseMs: 30_000 }),
    )
    expect(await withSessionLease(database, { ...held, runId: 'run_2' }, async () => 'taken')).toBe('taken')
  })
})
