/** What hangs on a session is erased in parts, and from the first on nobody reads any of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAgentService } from '../../src/modules/agent/agent.service.ts'
import type { EraseBounds } from '../../src/modules/agent/erasure.repository.ts'
import { removeMemories } from '../../src/modules/memory/memory.repository.ts'
import type { Database } from '../../src/ports/database.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { createId } from '../../src/shared/ids.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

const content = 'x'.repeat(1_000)
const notFound = { code: 'session.not_found' }

describe('the erasure of a session that is more than one transaction removes', () => {
  let modules: TestModules
  beforeAll(async () => {
    modules = await createTestModules()
  })
  afterAll(() => modules.close())

  const countRows = async ({ tenantId }: Caller): Promise<number> => {
    const [row] = await modules.database.transact(tenantId, (tx) =>
      tx.query<{ rows: number }>(sql`
        select (select count(*) from message where tenant_id = ${tenantId})
          + (select count(*) from context_edit where tenant_id = ${tenantId})
          + (select count(*) from step where tenant_id = ${tenantId})
          + (select count(*) from tool_call where tenant_id = ${tenantId})
          + (select count(*) from reward where tenant_id = ${tenantId}) as rows`),
    )
    return row?.rows ?? 0
  }

  /** An agent with one session of 20 messages, three calls and an edit. */
  const makeSession = async (caller: Caller, sessionId: string) => {
    await modules.sessions.create(caller, { agentId: 'a', sessionId }, modules.contexts.startContext([]))
    const messages = Array.from({ length: 20 }, () => ({ role: 'user' as const, content }))
    await modules.contexts.append(caller, { sessionId, messages, expected: null })
    for (const word of ['one', 'two', 'three'])
      await modules.tools.call(caller, { sessionId, key: 'retrieve_memory', args: { query: word }, door: 'http' })
    await modules.contexts.reset(caller, { sessionId, expected: null })
  }

  /** An eraser that removes so much at a time; `after` runs after each transaction of its own. */
  const eraserOf = (eraseBounds: EraseBounds, after: (transaction: number) => Promise<void>) => {
    let transactions = 0
    const database: Database = {
      ...modules.database,
      transact: async (...request) => {
        const result = await modules.database.transact(...request)
        transactions += 1
        await after(transactions)
        return result as never
      },
    }
    const { vectorIndex } = modules
    const given = { database, vectorIndex, createId, removeMemories, indexTimeoutMs: 5_000, forgetTexts: () => {} }
    return createAgentService({ ...given, eraseBounds })
  }

  it.each([
    ['rows', { rowsMax: 4, bytesMax: 1_000_000 }, 4],
    ['bytes', { rowsMax: 1_000, bytesMax: 2_500 }, 15],
  ])('M7: no transaction removes more than its bound of %s, and the receipt counts all', async (_, bounds, partMax) => {
    const caller = await modules.makeCaller()
    await makeSession(caller, 'large')
    const left = [await countRows(caller)]
    const { stores } = await eraserOf(bounds, async () => {
      left.push(await countRows(caller))
    }).erase(caller, 'a')
    const parts = left.slice(1).map((rows, at) => (left[at] ?? 0) - rows)
    expect(parts.filter((rows) => rows > 0).length).toBeGreaterThan(3)
    expect(Math.max(...parts)).toBeLessThanOrEqual(partMax)
    expect(left.at(-1)).toBe(0)
    const removed = Object.fromEntries(stores.map((one) => [one.store, one.removed]))
    expect(removed).toMatchObject({ sessions: 1, messages: 20, context_edits: 1, steps: 3, tool_calls: 3, rewards: 0 })
  })

  it('M7: one that was cut short shows nothing of its session, takes nothing more, and goes on when it is sent again', async () => {
    const caller = await modules.makeCaller()
    await makeSession(caller, 'large')
    const bounds = { rowsMax: 5, bytesMax: 1_000_000 }
    const cut = eraserOf(bounds, async (transaction) => {
      if (transaction === 2) throw new Error('cut short')
    })
    const before = await countRows(caller)
    await expect(cut.erase(caller, 'a')).rejects.toThrow('cut short')
    expect(await countRows(caller)).toBe(before - 10)

    await expect(modules.sessions.get(caller, 'large')).rejects.toMatchObject(notFound)
    const messages = [{ role: 'user' as const, content: 'late' }]
    const late = modules.contexts.append(caller, { sessionId: 'large', messages, expected: null })
    await expect(late).rejects.toMatchObject(notFound)
    const listed = modules.sessions.list(caller, { agentId: null, status: null }, { cursor: null, limit: 10 })
    expect((await listed).data).toEqual([])

    const erasure = await eraserOf(bounds, async () => {}).erase(caller, 'a')
    expect([erasure.status, await countRows(caller)]).toEqual(['completed', 0])
    await makeSession(caller, 'large')
    expect((await modules.sessions.get(caller, 'large')).context.version).toBeGreaterThan(0)
  })

  it('M7: one that was cut short is finished by maintenance, whose receipt counts all, and spares the next of its name', async () => {
    const caller = await modules.makeCaller()
    await makeSession(caller, 'large')
    await modules.memories.add(caller, { agentId: 'a', memory: { content } })
    const cut = eraserOf({ rowsMax: 5, bytesMax: 1_000_000 }, async (transaction) => {
      if (transaction === 3) throw new Error('cut short')
    })
    await expect(cut.erase(caller, 'a')).rejects.toThrow('cut short')
    await modules.maintenance.runOnce()
    expect(await countRows(caller)).toBe(0)
    const [erasure] = await modules.database.transact(caller.tenantId, (tx) =>
      tx.query<{ id: string; status: string; stores: { store: string; removed: number }[] }>(
        sql`select erasure_id as id, status, stores from erasure where tenant_id = ${caller.tenantId}`,
      ),
    )
    const removed = Object.fromEntries((erasure?.stores ?? []).map((one) => [one.store, one.removed]))
    expect(erasure?.status).toBe('completed')
    expect(removed).toMatchObject({ sessions: 1, messages: 20, steps: 3, tool_calls: 3, memories: 1 })

    await makeSession(caller, 'next')
    await modules.agents.finishErasure(caller.tenantId, erasure?.id ?? '')
    expect((await modules.sessions.get(caller, 'next')).sessionId).toBe('next')
  })
})
