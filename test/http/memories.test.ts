import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'

describe('memories over HTTP', () => {
  let test: TestApp
  let key: string

  beforeAll(async () => {
    test = await createTestApp()
    key = (await test.makeKey()).key
  })
  afterAll(() => test.close())

  const add = (agent: string, payload: object) =>
    test.request(key, { method: 'POST', url: `/v1/agents/${agent}/memories`, payload })

  describe("an agent's default time to live", () => {
    const expiresIn = (data: Record<string, unknown>): number | null =>
      data.expires_at === null
        ? null
        : Math.round((Date.parse(String(data.expires_at)) - Date.parse(String(data.created_at))) / 1000)

    beforeAll(async () => {
      await add('forgetful', { content: 'Before there was a default' })
      const payload = { defaults: { memory_ttl_seconds: 600 } }
      await test.request(key, { method: 'PATCH', url: '/v1/agents/forgetful', payload })
    })

    it('holds for a memory that says nothing of its own, added alone or in a batch', async () => {
      expect(expiresIn((await add('forgetful', { content: 'One' })).data)).toBe(600)
      const batch = await test.request(key, {
        method: 'POST',
        url: '/v1/agents/forgetful/memories/batch',
        payload: { memories: [{ content: 'Two' }, { content: 'Three', ttl_seconds: 60 }] },
      })
      const results = batch.data.results as unknown as readonly { memory: Record<string, unknown> }[]
      expect(results.map(({ memory }) => expiresIn(memory))).toEqual([600, 60])
    })

    it('gives way to what a memory says itself, and to null for never', async () => {
      expect(expiresIn((await add('forgetful', { content: 'Four', ttl_seconds: 5 })).data)).toBe(5)
      expect(expiresIn((await add('forgetful', { content: 'Five', ttl_seconds: null })).data)).toBeNull()
    })
  })

  it('many additions at once are each stored once, under ids, revisions and agents of their own', async () => {
    const contents = Array.from({ length: 60 }, (_, at) => `Fact ${at} of many`)
    const added = await Promise.all(contents.map((content, at) => add(`crowd-${at % 3}`, { content })))
    expect(added.map(({ statusCode }) => statusCode)).toEqual(contents.map(() => 201))
    expect(added.map(({ data }) => data.content)).toEqual(contents)
    expect(new Set(added.map(({ data }) => data.memory_id)).size).toBe(60)
    for (const [at, { data }] of added.entries()) {
      expect(data.agent_id).toBe(`crowd-${at % 3}`)
      const read = await test.request(key, { url: `/v1/agents/crowd-${at % 3}/memories/${data.memory_id}` })
      const { duplicate_check: _, ...stored } = data
      expect({ ...read.data, index_state: 'pending' }).toEqual({ ...stored, index_state: 'pending' })
    }
    const agent = await test.request(key, { url: '/v1/agents/crowd-0' })
    expect(agent.data.memory_count).toBe(20)
  })

  it('the same words several times at once: all but one are told of another', async () => {
    const agents = Array.from({ length: 24 }, (_, at) => `twins-${at}`)
    const toldOf = async (agentId: string): Promise<number> => {
      const added = await Promise.all([1, 2, 3].map(() => add(agentId, { content: 'Said at the same time' })))
      const ids = added.map(({ data }) => data.memory_id)
      const told = added.filter(({ data }) => data.duplicate_of !== undefined)
      for (const { data } of told)
        expect(ids).toContain((data.duplicate_of as unknown as { memory_id: string }).memory_id)
      return told.length
    }
    expect(await Promise.all(agents.map(toldOf))).toEqual(agents.map(() => 2))
  })
})
