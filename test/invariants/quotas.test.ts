/** Quotas and what is counted for them, over two compositions of the service on one database, as two processes are. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storedKinds } from '../../src/modules/tenant/tenant-types.ts'
import type { Caller } from '../../src/shared/caller.ts'
import type { TestModules } from '../support/modules.ts'
import { createTestModules } from '../support/modules.ts'
import { openTwoProcesses, type TwoProcesses } from '../support/two-processes.ts'

/** The table of each kind that usage tells. */
const tables: Readonly<Record<(typeof storedKinds)[number], string>> = {
  memories: 'memory',
  memory_versions: 'memory_version',
  sessions: 'session',
  messages: 'message',
  edits: 'context_edit',
  steps: 'step',
  tool_calls: 'tool_call',
  rewards: 'reward',
  answers: 'idempotency_key',
}

describe('quotas over two processes', () => {
  let { one, two, database, close } = {} as TwoProcesses
  beforeAll(async () => {
    ;({ one, two, database, close } = await openTwoProcesses())
  })
  afterAll(() => close?.())

  const makeLimited = async (limits: { memories?: number; bytes?: number }): Promise<Caller> => {
    const caller = await one.makeCaller()
    await database.query('update tenant set memories_max = $2, stored_bytes_max = $3 where tenant_id = $1', [
      caller.tenantId,
      limits.memories ?? null,
      limits.bytes ?? null,
    ])
    return caller
  }
  const settled = async (tries: readonly Promise<unknown>[]) => {
    const results = await Promise.allSettled(tries)
    const codes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
    return { stored: results.length - codes.length, codes: [...new Set(codes)] }
  }
  const claim = (caller: Caller, key: string): Caller => ({
    ...caller,
    idempotency: { key, requestHash: Buffer.from(key.padEnd(32)) },
  })
  const openSession = async (caller: Caller, agentId: string, modules = one) =>
    (await modules.sessions.create(caller, { agentId }, modules.contexts.startContext([]))).sessionId
  const append = (caller: Caller, sessionId: string, content: string, modules = one) =>
    modules.contexts.append(caller, { sessionId, messages: [{ role: 'user', content }], expected: null })

  const expectCounted = async (caller: Caller): Promise<void> => {
    const { bytesByKind, storedBytes } = await one.tenants.getUsage(caller)
    const recounted = await Promise.all(
      storedKinds.map(async (kind) => {
        const { rows } = await database.query(
          `select coalesce(sum(bytes), 0)::int as bytes from ${tables[kind]} where tenant_id = $1`,
          [caller.tenantId],
        )
        return [kind, rows[0].bytes] as const
      }),
    )
    expect(bytesByKind).toEqual(Object.fromEntries(recounted))
    expect(storedBytes).toBe(recounted.reduce((sum, [, bytes]) => sum + bytes, 0))
  }

  it('Q1: exactly as many memories are stored as the quota says, whoever writes them, by whichever door, all at once', async () => {
    const caller = await makeLimited({ memories: 40 })
    const add = (modules: TestModules, agentId: string, at: number) =>
      modules.memories.add(at % 3 === 0 ? claim(caller, `k${agentId}${at}`) : caller, {
        agentId,
        memory: { content: `Fact ${at}` },
      })
    const agents = ['a', 'b', 'c', 'd']
    const tries = agents.flatMap((agent) => [
      ...Array.from({ length: 12 }, (_, at) => add(one, agent, at)),
      ...Array.from({ length: 12 }, (_, at) => add(two, agent, at + 100)),
    ])
    expect(await settled(tries)).toEqual({ stored: 40, codes: ['quota.memories'] })
    expect((await one.tenants.getUsage(caller)).memories).toBe(40)
    const batch = { agentId: 'a', memories: [{ content: 'One more' }] }
    await expect(two.memories.addMany(caller, batch)).rejects.toMatchObject({ code: 'quota.memories', status: 429 })
    await expectCounted(caller)
  })

  it('Q1: exactly as many bytes are stored as the quota says, of messages and memories together', async () => {
    const caller = await makeLimited({ bytes: 3_000 })
    const sessions = [await openSession(caller, 'a'), await openSession(caller, 'b', two)]
    const text = 'x'.repeat(100)
    const tries = Array.from({ length: 60 }, (_, at) => {
      const modules = at % 2 === 0 ? one : two
      return at % 3 === 0
        ? modules.memories.add(caller, { agentId: 'c', memory: { content: text } })
        : append(caller, String(sessions[at % 2]), text, modules)
    })
    expect(await settled(tries)).toEqual({ stored: 30, codes: ['quota.stored_bytes'] })
    expect((await one.tenants.getUsage(caller)).storedBytes).toBe(3_000)
  })

  it('Q1: a full quota refuses whatever would store more, with one error, and never a deletion', async () => {
    const caller = await makeLimited({})
    const sessionId = await openSession(caller, 'a')
    const { memoryId } = await one.memories.add(caller, { agentId: 'a', memory: { content: 'y'.repeat(200) } })
    await append(caller, sessionId, 'Hello')
    await database.query('update tenant set stored_bytes_max = 100 where tenant_id = $1', [caller.tenantId])
    const call = (args: object) =>
      two.tools.call(caller, { sessionId, key: 'retrieve_memory', args, door: 'http', recall: { form: 'none' } })
    const output = { output: '<answer>Hi</answer>', append: true }
    const first = [{ role: 'user' as const, content: 'First' }]
    expect(
      await settled([
        append(caller, sessionId, 'More', two),
        call({ query: 'Hello' }),
        one.tools.callAll(caller, { sessionId, output }),
        one.sessions.create(caller, { agentId: 'b' }, one.contexts.startContext(first)),
        one.memories.update(caller, { agentId: 'a', memoryId, expected: '*', change: { content: 'z' } }),
        one.transfer.importAll(
          caller,
          'a',
          (async function* () {
            yield { line: 1, memory: { content: 'Line' } }
          })(),
        ),
      ]),
    ).toEqual({ stored: 0, codes: ['quota.stored_bytes'] })
    await one.memories.delete(caller, { agentId: 'a', memoryId, expected: '*' })
    await append(caller, sessionId, 'There is room', two)
    await expectCounted(caller)
  })

  it('Q2: what is counted is what is there, after every kind of write, folded or not, and nothing after an erasure', async () => {
    const caller = await one.makeCaller()
    const sessionId = await openSession(caller, 'a')
    const { memoryId } = await one.memories.add(claim(caller, 'm'), {
      agentId: 'a',
      memory: { content: 'Likes tea', metadata: { a: 1 }, memoryType: 'fact' },
    })
    await one.memories.update(caller, { agentId: 'a', memoryId, expected: 1, change: { content: 'Likes coffee' } })
    await append(claim(caller, 'a'), sessionId, 'What do I like?')
    await one.tools.call(claim(caller, 't'), {
      sessionId,
      key: 'retrieve_memory',
      args: { query: 'tea' },
      door: 'http',
    })
    const output = { output: '<think>Hm.</think><answer>Tea.</answer>', append: true }
    await one.tools.callAll(claim(caller, 'o'), { sessionId, output })
    await one.trajectories.attachReward(caller, { sessionId, key: 'human', value: 1, parts: { taste: 1 } })
    await one.contexts.reset(caller, { sessionId, expected: null })
    await expectCounted(caller)
    const { bytesByKind } = await one.tenants.getUsage(caller)
    expect(Object.entries(bytesByKind).filter(([kind, bytes]) => bytes === 0 && kind !== 'sessions')).toEqual([])
    await two.maintenance.runOnce()
    await expectCounted(caller)
    await one.memories.delete(caller, { agentId: 'a', memoryId, expected: '*' })
    await expectCounted(caller)
    await one.agents.erase(caller, 'a')
    expect((await one.tenants.getUsage(caller)).storedBytes).toBe(0)
    await one.maintenance.runOnce()
    for (const table of ['agent_usage', 'usage_delta'])
      expect((await database.query(`select 1 from ${table} where tenant_id = $1`, [caller.tenantId])).rowCount).toBe(0)
  })

  it("a tenant without limits never waits for the quota's row, and a key that is bound sees its agents' usage", async () => {
    const caller = await one.makeCaller()
    await one.memories.add(caller, { agentId: 'a', memory: { content: 'Mine' } })
    await one.maintenance.runOnce()
    const holder = await database.connect()
    await holder.query('begin')
    await holder.query('select 1 from tenant_usage where tenant_id = $1 for update', [caller.tenantId])
    await two.memories.add(caller, { agentId: 'b', memory: { content: 'Theirs, longer' } })
    await holder.query('rollback')
    holder.release()
    const usageOf = async (agentId: string) => one.tenants.getUsage({ ...caller, agentIds: [agentId] })
    expect(await usageOf('a')).toMatchObject({ agents: 1, memories: 1, storedBytes: 4 })
    expect(await usageOf('b')).toMatchObject({ agents: 1, memories: 1, storedBytes: 14 })
  })

  it('a large agent is erased in parts, and its receipt counts all of them', async () => {
    const caller = await one.makeCaller()
    for (let batch = 0; batch < 5; batch += 1) {
      const memories = Array.from({ length: 450 }, (_, at) => ({ content: `Fact ${batch} ${at}` }))
      await one.memories.addMany(caller, { agentId: 'large', memories })
    }
    await append(caller, await openSession(caller, 'large'), 'Hello')
    const { stores } = await one.agents.erase(caller, 'large')
    const removed = Object.fromEntries(stores.map(({ store, removed: count }) => [store, count]))
    expect(removed).toMatchObject({ memories: 2_250, sessions: 1, messages: 1 })
    await expectCounted(caller)
    expect((await one.tenants.getUsage(caller)).storedBytes).toBe(0)
  })
})

describe('what is read at once', () => {
  let modules: TestModules
  let caller: Caller
  const contextBytesMax = 1_000_000

  beforeAll(async () => {
    modules = await createTestModules({ settings: { contextBytesMax } })
    caller = await modules.makeCaller()
  })
  afterAll(() => modules?.close())

  const append = (sessionId: string, contents: readonly string[]) =>
    modules.contexts.append(caller, {
      sessionId,
      messages: contents.map((content) => ({ role: 'user', content })),
      expected: null,
    })
  const open = async () =>
    (await modules.sessions.create(caller, { agentId: 'a' }, modules.contexts.startContext([]))).sessionId

  it('a context has a bound; beyond it nothing is appended or undone, and what makes it smaller goes on', async () => {
    const sessionId = await open()
    const half = Array.from({ length: 10 }, () => 'x'.repeat(60_000))
    await append(sessionId, half)
    const tooLarge = { code: 'context.too_large', status: 413 }
    await expect(append(sessionId, half)).rejects.toMatchObject(tooLarge)
    await expect(
      append(
        sessionId,
        Array.from({ length: 3_000 }, () => 'x'),
      ),
    ).rejects.toMatchObject(tooLarge)
    const { context } = await modules.contexts.readSnapshot(caller, sessionId)
    expect(context.messages).toHaveLength(10)
    const { edit } = await modules.contexts.reset(caller, { sessionId, expected: null })
    await append(sessionId, half)
    const undo = modules.contexts.undo(caller, { sessionId, editId: String(edit?.editId), expected: null })
    await expect(undo).rejects.toMatchObject(tooLarge)
  })

  it('a page of messages has a bound in bytes, says that there are more, and none is skipped or repeated', async () => {
    const sessionId = await open()
    for (let round = 0; round < 10; round += 1) {
      await append(
        sessionId,
        Array.from({ length: 8 }, (_, at) => `${round}.${at} ${'x'.repeat(120_000)}`),
      )
      await modules.contexts.reset(caller, { sessionId, expected: null })
    }
    const seen: number[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof modules.contexts.listMessages>> = await modules.contexts.listMessages(
        caller,
        sessionId,
        { cursor, limit: 200 },
      )
      expect(page.data.reduce((sum, { content }) => sum + content.length, 0)).toBeLessThan(9 * 1024 * 1024)
      seen.push(...page.data.map(({ sequence }) => sequence))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toEqual(Array.from({ length: 80 }, (_, at) => at))
    const latest = await modules.contexts.listLatestMessages(caller, sessionId, { limit: 2_000 })
    expect(latest.at(-1)?.sequence).toBe(79)
    expect(latest.length).toBeLessThan(80)
  })
})
