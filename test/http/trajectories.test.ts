import { beforeAll, describe, expect, it } from 'vitest'
import { createHttp } from '../support/http.ts'
import { addOutput, type Body, useTrajectories } from '../support/trajectory-http.ts'

type StepBody = Body & { readonly order: number; readonly edits: Body[]; readonly calls: Body[] }

describe('trajectories over HTTP', () => {
  const { policy, app, http } = useTrajectories()

  describe('getTrajectory', () => {
    beforeAll(async () => {
      await http().startSession('seen')
      await http().run('seen', [addOutput('Ana lives in Lisbon.'), '<answer>Noted.</answer>'])
      await http().call('seen', 'By hand')
      await http().post('/v1/sessions/seen/tool_calls', { output: addOutput('By a client') })
      await http().reward('seen', { key: 'default', value: 0.5 })
      await http().reward('seen', { key: 'default', value: 0.75, parts: { task: 1, penalty: -0.25 } })
    })

    it('ends a page where the steps are large, and goes on with its cursor', async () => {
      await http().startSession('large')
      const output = `<think>${'So. '.repeat(260_000)}</think><answer>Yes.</answer>`
      for (let step = 0; step < 10; step += 1) await http().post('/v1/sessions/large/tool_calls', { output })
      const orders: unknown[] = []
      const pages: number[] = []
      for (let cursor: unknown = ''; typeof cursor === 'string'; ) {
        const from = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
        const { data } = await http().get(`/v1/sessions/large/trajectory?include=none${from}`)
        const steps = data.steps as unknown as StepBody[]
        orders.push(...steps.map(({ order }) => order))
        pages.push(steps.length)
        cursor = data.next_cursor
      }
      expect(orders).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      expect(pages).toEqual([9, 1])
    })

    it('gives a turn with all that it saw, said, called and changed', async () => {
      const { statusCode, data } = await http().get('/v1/sessions/seen/trajectory')
      expect(statusCode).toBe(200)
      expect(data).toMatchObject({ session_id: 'seen', agent_id: 'bot', status: 'open', next_cursor: null })
      const [first, second] = data.steps as unknown as StepBody[]
      const [sent] = policy.sent
      expect(first?.prompt).toEqual(JSON.parse(sent?.messages ?? ''))
      expect(first).toEqual({
        step_id: expect.stringMatching(/^stp_/),
        order: 1,
        door: 'policy',
        run_id: expect.stringMatching(/^run_/),
        turn: 1,
        model: 'scripted-1',
        model_version: null,
        prompt_version: 'v1',
        situation: expect.objectContaining({ format: 'text', turn: 1, corrections: [] }),
        prompt: expect.any(Array),
        prompt_tools: [],
        prompt_token_ids: sent?.reply.promptTokenIds,
        token_ids: sent?.reply.tokenIds,
        logprobs: sent?.reply.logprobs,
        output: addOutput('Ana lives in Lisbon.'),
        finish_reason: 'stop',
        sampling: expect.objectContaining({ temperature: 0.7, max_tokens: 256 }),
        usage: { prompt_tokens: 41, completion_tokens: 3 },
        think: 'Keep it.',
        answer: null,
        violations: [],
        calls: [
          {
            tool_call_id: expect.any(String),
            name: 'Add_memory',
            arguments: { content: 'Ana lives in Lisbon.' },
            status: 'ok',
            effective: true,
            result: { memory_id: expect.stringMatching(/^mem_/), version: 1 },
          },
        ],
        context_version_before: 1,
        context_version_after: 3,
        edits: [],
        created_at: expect.any(String),
      })
      expect(second).toMatchObject({ order: 2, turn: 2, answer: 'Noted.', calls: [] })
    })

    it('gives steps by other doors without a model, and the rewards with their history', async () => {
      const { data } = await http().get('/v1/sessions/seen/trajectory')
      const steps = data.steps as unknown as StepBody[]
      expect(steps.map(({ door, model, prompt, token_ids: ids }) => [door, model, prompt, ids]).slice(2)).toEqual([
        ['http', null, null, null],
        ['tool_calls', null, null, null],
      ])
      expect(data.rewards).toMatchObject([
        { key: 'default', value: 0.75, parts: { task: 1, penalty: -0.25 }, history: [{ value: 0.5, parts: {} }] },
      ])
    })

    it('leaves out what is not asked for', async () => {
      const large = ['prompt', 'prompt_tools', 'prompt_token_ids', 'token_ids', 'logprobs']
      const shown = async (include: string) => {
        const { data } = await http().get(`/v1/sessions/seen/trajectory?include=${include}`)
        const [first] = data.steps as unknown as Body[]
        return large.filter((field) => field in (first ?? {}))
      }
      expect(await shown('all')).toEqual(large)
      expect(await shown('messages')).toEqual(large.slice(0, 2))
      expect(await shown('tokens')).toEqual(large.slice(2))
      expect(await shown('none')).toEqual([])
    })

    it('gives every step once, page after page', async () => {
      const orders: number[] = []
      let cursor = ''
      do {
        const { data } = await http().get(`/v1/sessions/seen/trajectory?limit=1&include=none${cursor}`)
        orders.push(...(data.steps as unknown as StepBody[]).map(({ order }) => order))
        cursor = data.next_cursor === null ? '' : `&cursor=${data.next_cursor}`
      } while (cursor !== '')
      expect(orders).toEqual([1, 2, 3, 4])
    })

    it('of a session without steps has none', async () => {
      await http().startSession('idle')
      expect((await http().get('/v1/sessions/idle/trajectory')).data).toMatchObject({ steps: [], rewards: [] })
    })
  })

  it('answers 400 to parameters that it does not know or cannot read', async () => {
    const urls = [
      '/v1/sessions/seen/trajectory?include=everything',
      '/v1/sessions/seen/trajectory?limit=0',
      '/v1/sessions/seen/trajectory?cursor=%21',
      '/v1/sessions/seen/trajectory?cursor=WzEuNV0',
      '/v1/sessions/seen/trajectory?cursor=WzFlMzAwXQ',
      '/v1/trajectories?cursor=WyJcdTAwMDAiXQ',
      '/v1/trajectories?limit=201',
      '/v1/trajectories?has_reward=perhaps',
      '/v1/trajectories?door=window',
      '/v1/trajectories?created_after=yesterday',
      '/v1/trajectories?cursor=WzFd',
      '/v1/trajectories/export?cursor=x',
      '/v1/trajectories/export?reward_key=%20',
    ]
    for (const url of urls) expect([url, (await http().get(url)).statusCode]).toEqual([url, 400])
    const leap = await http().get('/v1/trajectories?created_after=2016-12-31T23:59:60Z')
    expect([leap.statusCode, leap.data.code]).toEqual([422, 'request.invalid_moment'])
  })

  it('T1: a session of another tenant is the same 404 as a missing one, and is in no list and no export', async () => {
    const { key: theirs } = await app().makeKey()
    const shown = async (session: string) => {
      const read = await createHttp(app(), theirs).get(`/v1/sessions/${session}/trajectory`)
      const attached = await app().request(theirs, {
        method: 'POST',
        url: `/v1/sessions/${session}/rewards`,
        payload: { key: 'default', value: 1 },
      })
      return [read, attached].map(({ statusCode, data }) => [statusCode, data.code, data.detail])
    }
    expect(await shown('seen')).toEqual(await shown('missing'))
    expect((await shown('seen'))[0]?.[0]).toBe(404)
    expect((await createHttp(app(), theirs).get('/v1/trajectories')).data.data).toEqual([])
    expect((await createHttp(app(), theirs).get('/v1/trajectories/export')).payload).toBe('')
  })

  it('T5: needs a key, and trajectory:read or trajectory:write', async () => {
    const { key: reader } = await app().makeKey({ tenantId: http().tenantId, scopes: ['trajectory:read'] })
    const { key: writer } = await app().makeKey({ tenantId: http().tenantId, scopes: ['trajectory:write'] })
    const payload = { key: 'default', value: 1 }
    const attach = { method: 'POST' as const, url: '/v1/sessions/seen/rewards', payload }
    for (const url of ['/v1/sessions/seen/trajectory', '/v1/trajectories', '/v1/trajectories/export']) {
      const codes = await Promise.all([null, writer, reader].map((as) => app().request(as, { url })))
      expect([url, ...codes.map(({ statusCode }) => statusCode)]).toEqual([url, 401, 403, 200])
    }
    const attached = await Promise.all([null, reader, writer].map((as) => app().request(as, attach)))
    expect(attached.map(({ statusCode }) => statusCode)).toEqual([401, 403, 201])
  })
})
