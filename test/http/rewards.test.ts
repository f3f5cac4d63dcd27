import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { lockSession } from '../../src/modules/session/session.repository.ts'
import { insertReward } from '../../src/modules/trajectory/reward.repository.ts'
import { createId } from '../../src/shared/ids.ts'
import { type Body, useTrajectories } from '../support/trajectory-http.ts'

describe('rewards over HTTP', () => {
  const { app, http } = useTrajectories()

  describe('attachReward', () => {
    beforeAll(() => http().startSession('judged'))

    it('answers 201 with the reward, on a closed session too', async () => {
      await http().startSession('shut')
      await http().post('/v1/sessions/shut/close', {})
      const { statusCode, data, headers } = await http().reward('shut', {
        key: 'default',
        value: -0.125,
        parts: { a: 1e-7 },
      })
      expect([statusCode, headers.location]).toEqual([201, '/v1/sessions/shut/trajectory'])
      expect(data).toEqual({
        reward_id: expect.stringMatching(/^rew_/),
        session_id: 'shut',
        key: 'default',
        value: -0.125,
        parts: { a: 1e-7 },
        attached_by: expect.stringMatching(/^key_/),
        created_at: expect.any(String),
      })
    })

    it('of many at once each is kept, and exactly one counts', async () => {
      const values = Array.from({ length: 12 }, (_, at) => at)
      await Promise.all(values.map((value) => http().reward('judged', { key: 'crowd', value })))
      const { data } = await http().get('/v1/sessions/judged/trajectory')
      const kept = (data.rewards as unknown as Body[]).find(({ key: name }) => name === 'crowd')
      const history = (kept?.history ?? []) as { value: number }[]
      expect([kept?.value, ...history.map(({ value }) => value)].map(Number).sort((a, b) => a - b)).toEqual(values)
      await http().reward('judged', { key: 'crowd', value: 99 })
      const after = (await http().get('/v1/sessions/judged/trajectory')).data.rewards as unknown as Body[]
      expect(after.find(({ key: name }) => name === 'crowd')?.value).toBe(99)
    })

    it('M2: a retry with the same Idempotency-Key attaches once and answers the same; another body is refused', async () => {
      const headers = { 'idempotency-key': 'reward-1' }
      const first = await http().reward('judged', { key: 'once', value: 1 }, headers)
      const second = await http().reward('judged', { key: 'once', value: 1 }, headers)
      expect([second.statusCode, second.data]).toEqual([201, first.data])
      expect((await http().reward('judged', { key: 'once', value: 2 }, headers)).data.code).toBe(
        'idempotency.key_reused',
      )
      const kept = ((await http().get('/v1/sessions/judged/trajectory')).data.rewards as unknown as Body[]).find(
        ({ key: name }) => name === 'once',
      )
      expect(kept?.history).toEqual([])
    })

    it('takes 64 keys and no more, and goes on taking those', async () => {
      await http().startSession('keys')
      for (let at = 0; at < 64; at += 1) await http().reward('keys', { key: `k${at}`, value: at })
      const refused = await http().reward('keys', { key: 'k64', value: 1 })
      expect([refused.statusCode, refused.data.code]).toEqual([422, 'reward.too_many_keys'])
      expect((await http().reward('keys', { key: 'k3', value: 1 })).statusCode).toBe(201)
    })

    it('refuses what is no finite number, what has no key and what it does not know', async () => {
      const raw = (payload: string) =>
        app().request(http().key, {
          method: 'POST',
          url: '/v1/sessions/judged/rewards',
          payload,
          headers: { 'content-type': 'application/json' },
        })
      const bodies = [
        '{"key":"a","value":"1"}',
        '{"key":"a","value":null}',
        '{"value":1}',
        '{"key":"","value":1}',
        '{"key":"a b","value":1}',
        '{"key":"a","value":1,"parts":{"x":"y"}}',
        '{"key":"a","value":1,"parts":{"x y":1}}',
        '{"key":"a","value":1,"more":true}',
        '[]',
      ]
      for (const body of bodies) {
        const { statusCode, data } = await raw(body)
        expect([body, statusCode, data.code]).toEqual([body, 400, 'request.invalid'])
      }
      const infinite = ['{"key":"a","value":1e999}', '{"key":"a","value":1,"parts":{"x":-1e999}}']
      for (const body of infinite) expect((await raw(body)).data).toMatchObject({ code: 'request.unsafe_text' })
    })
  })

  it('M7: erasing the agent leaves nothing of its trajectories, and counts the rewards', async () => {
    await http().startSession('gone', 'erased')
    await http().run('gone', ['<answer>Bye.</answer>'])
    await http().reward('gone', { key: 'a', value: 1 })
    await http().reward('gone', { key: 'a', value: 2 })
    const { data } = await app().request(http().key, { method: 'DELETE', url: '/v1/agents/erased' })
    expect(data.stores).toContainEqual({ store: 'rewards', removed: 2 })
    expect(data.stores).toContainEqual({ store: 'steps', removed: 1 })
    expect((await http().get('/v1/sessions/gone/trajectory')).statusCode).toBe(404)
    expect((await http().get('/v1/trajectories?agent_id=erased')).data.data).toEqual([])
    expect(await http().exported('?agent_id=erased')).toEqual([])
  })

  it('M7: a reward that is being attached while its agent is erased is erased with it', async () => {
    await http().startSession('racing', 'racer')
    const { database, url } = app().modules
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const found = async (query: string) => (await client.query(query)).rows[0].found
    const isWaiting = "select count(*)::int as found from pg_stat_activity where wait_event_type = 'Lock'"
    const sessionId = 'racing'
    const fields = { rewardId: createId('rew'), key: 'a', value: 1, parts: {}, attachedBy: 'key_1' }
    const erasing = await database.transact(http().tenantId, async (tx) => {
      await lockSession(tx, sessionId)
      const answer = http().delete('/v1/agents/racer')
      await expect.poll(() => found(isWaiting)).toBe(1)
      await insertReward(tx, { sessionId, ...fields })
      return { answer }
    })
    expect((await erasing.answer).data.stores).toContainEqual({ store: 'rewards', removed: 1 })
    expect(await found("select count(*)::int as found from reward where session_id = 'racing'")).toBe(0)
    await client.end()
  })
})
