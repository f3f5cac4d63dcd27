import { beforeAll, describe, expect, it } from 'vitest'
import { createHttp } from '../support/http.ts'
import { type Body, useTrajectories } from '../support/trajectory-http.ts'

describe('the list of trajectories', () => {
  const { app, http } = useTrajectories()

  describe('listTrajectories', () => {
    const idsOf = async (query: string, as = http().key) => {
      const ids: unknown[] = []
      let cursor = ''
      do {
        const { data } = await createHttp(app(), as).get(`/v1/trajectories?limit=2&${query}${cursor}`)
        ids.push(...(data.data as unknown as Body[]).map(({ session_id: id }) => id))
        cursor = data.next_cursor === null ? '' : `&cursor=${data.next_cursor}`
      } while (cursor !== '')
      return ids
    }

    beforeAll(async () => {
      for (const [at, agent] of ['lister', 'lister', 'lister', 'other'].entries()) {
        await http().startSession(`list-${at}`, agent)
        await http().call(`list-${at}`, `Fact ${at}`)
      }
      await http().startSession('list-idle', 'lister')
      await http().run('list-1', ['<answer>Yes.</answer>'])
      await http().reward('list-2', { key: 'judge', value: -1 })
      await http().reward('list-2', { key: 'default', value: 2 })
    })

    it('gives a summary of each', async () => {
      const { statusCode, data } = await http().get('/v1/trajectories?agent_id=lister')
      expect(statusCode).toBe(200)
      const summaries = data.data as unknown as Body[]
      expect(summaries.map(({ session_id: id }) => id)).toEqual(['list-0', 'list-1', 'list-2'])
      expect(summaries[1]).toEqual({
        session_id: 'list-1',
        agent_id: 'lister',
        status: 'open',
        created_at: expect.any(String),
        steps: 2,
        doors: ['http', 'policy'],
        first_step_at: expect.any(String),
        last_step_at: expect.any(String),
        models: ['scripted-1'],
        usage: { model_calls: 1, prompt_tokens: expect.any(Number), completion_tokens: 3 },
        rewards: {},
      })
      expect(summaries[2]).toMatchObject({ models: [], usage: { model_calls: 0 }, rewards: { judge: -1, default: 2 } })
    })

    it('narrows by agent, door, reward and time, page after page to the end', async () => {
      const of = 'agent_id=lister&'
      expect(await idsOf(of)).toEqual(['list-0', 'list-1', 'list-2'])
      expect(await idsOf(`${of}door=policy`)).toEqual(['list-1'])
      expect(await idsOf(`${of}has_reward=true`)).toEqual(['list-2'])
      expect(await idsOf(`${of}has_reward=false`)).toEqual(['list-0', 'list-1'])
      expect(await idsOf(`${of}created_before=2020-01-01T00:00:00Z`)).toEqual([])
      expect(await idsOf(`${of}created_after=2020-01-01T00:00:00Z`)).toHaveLength(3)
    })

    it('shows a key that is bound to agents theirs alone, by every operation', async () => {
      const { key: bound } = await app().makeKey({ tenantId: http().tenantId, agentIds: ['other'] })
      expect(await idsOf('', bound)).toEqual(['list-3'])
      expect(await idsOf('agent_id=lister', bound)).toEqual([])
      expect((await createHttp(app(), bound).get('/v1/sessions/list-1/trajectory')).statusCode).toBe(404)
      expect((await createHttp(app(), bound).get('/v1/trajectories/export')).payload).toBe('')
      const attach = (session: string) =>
        app().request(bound, {
          method: 'POST',
          url: `/v1/sessions/${session}/rewards`,
          payload: { key: 'bound', value: 1 },
        })
      expect((await attach('list-1')).data.code).toBe('session.not_found')
      expect((await attach('list-3')).statusCode).toBe(201)
    })
  })
})
