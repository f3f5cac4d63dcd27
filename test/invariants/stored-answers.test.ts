/** What is stored under an Idempotency-Key: whose it is, when it goes, and what an import keeps there. */
import { createHash } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createIdempotency } from '../../src/modules/idempotency/idempotency.service.ts'
import type { ImportedMemory } from '../../src/modules/memory/memory-import.ts'
import type { Caller } from '../../src/shared/caller.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

const gone = { code: 'idempotency.answer_gone', status: 410 }

describe('stored answers', () => {
  let modules: TestModules
  /** As a second process. */
  let other: TestModules
  let caller: Caller
  let database: pg.Pool

  beforeAll(async () => {
    modules = await createTestModules()
    other = await createTestModules({ databaseUrl: modules.url })
    database = new pg.Pool({ connectionString: modules.url })
    caller = await modules.makeCaller()
  })
  afterAll(async () => {
    await database?.end()
    await other?.close()
    await modules?.close()
  })

  const claimed = (key: string, body = key, who = caller) => {
    const idempotency = { key, requestHash: createHash('sha256').update(body).digest() }
    return { ...who, idempotency }
  }
  const add = (agentId: string, content: string, who = caller) =>
    modules.memories.add(who, { agentId, memory: { content } })
  const remove = (agentId: string, memoryId: string) =>
    modules.memories.delete(caller, { agentId, memoryId, expected: '*' })
  const openSession = async (agentId: string) =>
    (await modules.sessions.create(caller, { agentId }, modules.contexts.startContext([]))).sessionId
  const tablesWith = async (text: string): Promise<readonly string[]> => {
    const { rows } = await database.query(`select tablename from pg_tables where schemaname = 'public'`)
    const found: string[] = []
    for (const { tablename } of rows) {
      const query = `select 1 from ${pg.escapeIdentifier(tablename)} as t where t::text like $1 limit 1`
      if ((await database.query(query, [`%${text}%`])).rowCount) found.push(tablename)
    }
    return found
  }

  describe('go with the memory that they show, and the request is not carried out again', () => {
    it('of ADD, batch, UPDATE and revert, with every text that the memory ever had', async () => {
      const once = claimed('add')
      const { memoryId } = await add('kept', 'canary-first', once)
      const change = { content: 'canary-second' }
      const update = () =>
        modules.memories.update(claimed('update'), { agentId: 'kept', memoryId, expected: '*', change })
      expect(await update()).toEqual(await update())
      const target = { agentId: 'kept', memoryId, version: 1, expected: '*' as const }
      await modules.memories.revert(claimed('revert'), target)
      const batch = { agentId: 'kept', memories: [{ content: 'canary-third' }, { content: 'stays' }] }
      const [third] = await modules.memories.addMany(claimed('batch'), batch)
      expect(await tablesWith('canary-')).toContain('idempotency_key')
      await remove('kept', memoryId)
      if (third === undefined || !('memory' in third)) throw new Error('it was stored')
      await remove('kept', third.memory.memoryId)
      expect(await tablesWith('canary-')).toEqual([])
      await expect(add('kept', 'canary-first', once)).rejects.toMatchObject(gone)
      await expect(update()).rejects.toMatchObject(gone)
      await expect(modules.memories.revert(claimed('revert'), target)).rejects.toMatchObject(gone)
      await expect(modules.memories.addMany(claimed('batch'), batch)).rejects.toMatchObject(gone)
      expect((await modules.agents.get(caller, 'kept')).memoryCount).toBe(1)
    })

    it('of tools, of what a model wrote, and of messages that recalled it', async () => {
      const sessionId = await openSession('tools')
      const { memoryId } = await add('tools', 'Heron nests by the quay')
      const asked = { sessionId, key: 'retrieve_memory', args: { query: 'heron' }, door: 'http' } as const
      const call = () => modules.tools.call(claimed('call'), { ...asked, recall: { form: 'none' } })
      const text = '<tool_call>[{"name":"Retrieve_memory","arguments":{"query":"heron"}}]</tool_call>'
      const write = () => modules.tools.callAll(claimed('all'), { sessionId, output: { output: text, append: false } })
      const answers = [await call(), await write()]
      expect(JSON.stringify(answers).match(/nests by the quay/g)?.length).toBeGreaterThan(1)
      expect(await call()).toEqual(answers[0])
      await remove('tools', memoryId)
      for (const again of [call, write]) await expect(again()).rejects.toMatchObject(gone)
      const { rows } = await database.query(`select 1 from idempotency_key where body::text like '%nests by%'`)
      expect(rows).toEqual([])
    })

    it('also when the memory is deleted while the answer is on its way', async () => {
      const { memoryId } = await add('race', 'canary-race')
      const idempotency = createIdempotency({ database: modules.database, ttlSeconds: 60 })
      const answer = { memories: [{ memory_id: memoryId, content: 'canary-race' }] }
      await idempotency.runOnce(claimed('late'), {
        agentId: 'race',
        operation: async (commit) => {
          await remove('race', memoryId)
          return commit(async () => answer)
        },
      })
      const holder = await database.connect()
      const second = (await add('race', 'canary-race')).memoryId
      await holder.query('begin')
      await holder.query(`delete from memory where memory_id = $1`, [second])
      const storing = idempotency.runOnce(claimed('waiting'), {
        agentId: 'race',
        operation: (commit) => commit(async () => ({ memory_id: second, content: 'canary-race' })),
      })
      const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      await expect.poll(async () => (await database.query(waiting)).rowCount).toBe(1)
      await holder.query('commit')
      holder.release()
      await storing
      expect(await tablesWith('canary-race')).toEqual([])
      await expect(
        idempotency.runOnce(claimed('late'), { agentId: 'race', operation: (c) => c(async () => 1) }),
      ).rejects.toMatchObject(gone)
    })
  })

  it('M7: none is left of an erased agent, however late it comes, and none enters its next life', async () => {
    await add('erased', 'First life')
    const idempotency = createIdempotency({ database: modules.database, ttlSeconds: 60 })
    for (const isBack of [false, true]) {
      const late = idempotency.runOnce(claimed(`late ${isBack}`), {
        agentId: 'erased',
        operation: async (commit) => {
          await modules.agents.erase(caller, 'erased')
          if (isBack) await add('erased', 'Next life')
          return commit(async () => 'canary-of-the-dead')
        },
      })
      await expect(late).rejects.toMatchObject({ code: 'idempotency.agent_erased', status: 409 })
      if (!isBack) await add('erased', 'Second life')
    }
    expect(await tablesWith('canary-of-the-dead')).toEqual([])
  })

  it('M7: erasing agents while their models call tools under keys leaves no answer, and nothing hangs', async () => {
    const text = '<tool_call>[{"name":"Add_memory","arguments":{"content":"canary-parallel"}}]</tool_call>'
    const output = { output: text, append: true }
    await Promise.all(
      Array.from({ length: 12 }, async (_, at) => {
        const agentId = `parallel-${at}`
        const sessionId = await openSession(agentId)
        const calls = ['x', 'y'].map((key) =>
          (key === 'x' ? modules : other).tools
            .callAll(claimed(`${key}${at}`), { sessionId, output })
            .catch((error: { status?: number }) => expect([404, 409]).toContain(error.status)),
        )
        await Promise.all([...calls, other.agents.erase(caller, agentId)])
      }),
    )
    expect(await tablesWith('canary-parallel')).toEqual([])
    const left = await database.query(`select 1 from idempotency_key where agent_id like 'parallel-%'`)
    expect(left.rowCount).toBe(0)
  })

  it('M2: of two requests with one key at two processes, the one that is refused gets the answer of the other', async () => {
    for (let round = 0; round < 5; round += 1) {
      const input = { agentId: 'twice', sessionId: `twice-${round}` }
      const once = claimed(`session ${round}`)
      const [first, second] = await Promise.all(
        [modules, other].map(({ sessions, contexts }) => sessions.create(once, input, contexts.startContext([]))),
      )
      expect(second).toEqual(first)
    }
    const action = { actor: 'operator', requestId: 'r', idempotency: claimed('tenant').idempotency }
    const quotas = { requestsPerSecond: null, memoriesMax: null, storedBytesMax: null, modelTokensPerDayMax: null }
    const tenants = await Promise.all(
      [modules, other].map((one) => one.tenants.create(action, { name: 'Once', quotas })),
    )
    expect(tenants[1]).toEqual(tenants[0])
  })

  describe('of an import', () => {
    const importing = (
      who: Caller,
      agentId: string,
      { count, breakAt = null, at = modules }: { count: number; breakAt?: number | null; at?: TestModules },
    ) =>
      at.transfer.importAll(
        who,
        agentId,
        (async function* (): AsyncGenerator<{ line: number; memory: ImportedMemory }> {
          for (let line = 1; line <= count; line += 1) {
            if (line === breakAt) throw new DOMException('late', 'TimeoutError')
            yield { line, memory: { content: `Line ${line} of ${agentId}` } }
          }
        })(),
      )
    const list = async (agentId: string) => {
      const contents: string[] = []
      for await (const page of modules.transfer.exportAll(caller, agentId))
        contents.push(...page.map(({ content }) => content))
      return contents
    }
    const deleteLine = async (agentId: string, line: number) => {
      const { rows } = await database.query(`select memory_id from memory where agent_id = $1 and content = $2`, [
        agentId,
        `Line ${line} of ${agentId}`,
      ])
      await remove(agentId, rows[0].memory_id)
    }

    it('M2: what was deleted since does not come back when it is sent again', async () => {
      const once = claimed('import')
      const first = await importing(once, 'imported', { count: 3 })
      await deleteLine('imported', 2)
      expect(await importing(once, 'imported', { count: 3 })).toEqual(first)
      expect(await list('imported')).toHaveLength(2)
    })

    it('M2: that broke off goes on behind what is dealt with, and leaves deleted what was deleted', async () => {
      const once = claimed('broken')
      const brokeOff = { code: 'memory.import_broke_off' }
      await expect(importing(once, 'broken', { count: 1_200, breakAt: 700 })).rejects.toMatchObject(brokeOff)
      await deleteLine('broken', 7)
      await expect(importing(once, 'broken', { count: 1_200, breakAt: 100 })).rejects.toMatchObject(brokeOff)
      expect(await importing(once, 'broken', { count: 1_200 })).toMatchObject({ created: 1_200, rejectedCount: 0 })
      const contents = await list('broken')
      expect([contents.length, new Set(contents).size]).toEqual([1_199, 1_199])
      expect(contents).not.toContain('Line 7 of broken')
      const another = importing(once, 'broken', { count: 1_201 })
      await expect(another).rejects.toMatchObject({ code: 'idempotency.key_reused' })
    })

    it('M2: many at once into a new agent, of one key or of none, are stored or told to come again', async () => {
      const tries = await Promise.allSettled([
        ...[modules, other, modules, other].map((at) => importing(claimed('four'), 'new', { count: 20, at })),
        ...[modules, other].map((at) => importing(caller, 'new', { count: 5, at })),
        ...[modules, other].map((at) => at.memories.add(caller, { agentId: 'new', memory: { content: 'Beside' } })),
      ])
      const codes = tries.flatMap((tried) => (tried.status === 'rejected' ? [tried.reason.code] : []))
      expect(new Set(['idempotency.in_flight', ...codes]).size).toBe(1)
      expect((await list('new')).filter((content) => content.startsWith('Line'))).toHaveLength(30)
    })
  })

  it('M7: after ANALYZE the planner keeps no word of what a tenant wrote', async () => {
    const sessionId = await openSession('analysed')
    const metadata = { canaryword: 'canaryword' }
    await modules.memories.addMany(claimed('analysed', 'canaryword'), {
      agentId: 'analysed',
      memories: Array.from({ length: 60 }, () => ({ content: 'canaryword', metadata, memoryType: 'canaryword' })),
    })
    const messages = Array.from({ length: 60 }, () => ({
      role: 'user' as const,
      content: 'canaryword',
      name: 'canaryword',
    }))
    await modules.contexts.append(caller, { sessionId, messages, expected: null })
    const output = { output: '<think>canaryword</think><answer>canaryword</answer>', append: true }
    for (let turn = 0; turn < 3; turn += 1) await modules.tools.callAll(caller, { sessionId, output })
    await modules.agents.erase(caller, 'nobody').catch(() => undefined)
    await database.query('analyze')
    const kept = `select tablename, attname from pg_stats where schemaname = 'public'`
    expect((await database.query(`${kept} and pg_stats::text like '%canaryword%'`)).rows).toEqual([])
    const { rows } = await database.query(`
      select distinct attname from pg_stats where schemaname = 'public' and tablename in ('memory', 'message', 'step')`)
    const names = rows.map(({ attname }) => attname)
    expect(names).toContain('revision')
    for (const secret of ['content', 'metadata', 'memory_type', 'name', 'think', 'answer'])
      expect(names).not.toContain(secret)
  })
})
