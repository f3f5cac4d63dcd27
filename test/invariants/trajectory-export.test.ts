import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStepExport, exportPageSteps } from '../../src/modules/trajectory/export-steps.ts'
import type { Database } from '../../src/ports/database.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { sql } from '../../src/shared/sql.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

const everything = { agentId: null, door: null, hasReward: null, createdAfter: null, createdBefore: null }

describe('a long trajectory', () => {
  let modules: TestModules
  let caller: Caller

  beforeAll(async () => {
    modules = await createTestModules()
    caller = await modules.makeCaller()
    const start = modules.contexts.startContext([])
    for (const [sessionId, steps] of [
      ['long', 5_000],
      ['short', 1],
    ] as const) {
      await modules.sessions.create(caller, { agentId: 'bot', sessionId }, start)
      await addTurns(sessionId, steps)
    }
  })
  afterAll(() => modules.close())

  const addTurns = (sessionId: string, steps: number) =>
    modules.database.transact(caller.tenantId, async (tx) => {
      await tx.query(sql`
        insert into step (tenant_id, session_id, step_id, step_order, door, context_version_before,
          context_version_after, run_id, turn, model, prompt_version, situation, prompt_message_ids, prompt_token_ids,
          output, token_ids, logprobs, finish_reason, sampling, usage)
        select ${tx.tenantId}, ${sessionId}, 'stp_' || at, at, 'policy', 0, 0, 'run_' || (at - 1) / 10, 1, 'm', 'v1', '{}',
          '{}', array(select at + i from generate_series(1, 1000) as i), 'said', array[1, 2], array[-0.5, -0.25], 'stop',
          '{"temperature": 1}', '{}'
        from generate_series(1, ${steps}::integer) as at`)
      await tx.query(sql`update session set next_step = ${steps} where session_id = ${sessionId}`)
    })

  it('R1: is exported with each step once and in its place, a page read only when the one before was taken', async () => {
    let reads = 0
    const counting: Database = {
      ...modules.database,
      read: (tenantId, work, options) => {
        reads += 1
        return modules.database.read(tenantId, work, options)
      },
    }
    let pages = 0
    let next = 0
    const seen: Record<string, number> = {}
    const request = { filter: everything, rewardKey: null }
    for await (const page of createStepExport({ database: counting })(caller, request)) {
      pages += 1
      expect(reads).toBe(pages)
      expect(page.length).toBeLessThanOrEqual(exportPageSteps)
      for (const { session_id: id, step, run, is_last_step: isLast, prompt_token_ids: ids } of page) {
        if (seen[id] === undefined) next = 0
        const isEnd = id === 'short' || next === 4_999
        expect([step, run, isLast, ids?.[0], ids?.length]).toEqual([
          next,
          Math.floor(next / 10),
          isEnd,
          next + 2,
          1_000,
        ])
        next += 1
        seen[id] = next
      }
    }
    expect(seen).toEqual({ long: 5_000, short: 1 })
  })

  it('is read in pages of 20 steps with their tokens, and of as many as asked for without', async () => {
    const read = (tokens: boolean) =>
      modules.trajectories.get(
        caller,
        { sessionId: 'long', parts: { messages: false, tokens } },
        { cursor: null, limit: 200 },
      )
    const [large, small] = [await read(true), await read(false)]
    expect([large.steps.length, large.steps[0]?.generation?.promptTokenIds?.length]).toEqual([20, 1_000])
    expect([small.steps.length, small.steps[0]?.generation?.promptTokenIds]).toEqual([200, null])
    expect([large.nextCursor, small.nextCursor]).not.toContain(null)
  })

  it('is no longer exported when its reader leaves', async () => {
    const leaving = new AbortController()
    const pages = modules.trajectories.exportSteps(
      { ...caller, signal: leaving.signal },
      { filter: everything, rewardKey: null },
    )
    expect((await pages.next()).value).toHaveLength(exportPageSteps)
    leaving.abort()
    await expect(pages.next()).rejects.toThrow()
  })
})
