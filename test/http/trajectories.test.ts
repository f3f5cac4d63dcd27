import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApp, type TestApp } from '../support/app.ts'
import { createScriptedPolicy } from '../support/scripted-policy.ts'

type Body = Record<string, unknown>
type StepBody = Body & { readonly order: number; readonly edits: Body[]; readonly calls: Body[] }

const output = (content: string) =>
  `<think>Keep it.</think><tool_call>[{"name":"Add_memory","arguments":{"content":"${content}"}}]</tool_call>`

describe('trajectories over HTTP', () => {
  let test: TestApp
  let key: string
  let tenantId: string
  let policy: ReturnType<typeof createScriptedPolicy>

  beforeAll(async () => {
    test = await createTestApp()
    ;({ key, tenantId } = await test.makeKey())
    policy = createScriptedPolicy(test.modules)
  })
  afterAll(() => test.close())

  const get = (url: string, as = key) => test.request(as, { url })
  const post = (url: string, payload: object, headers = {}) =>
    test.request(key, { method: 'POST', url, payload, headers })
  const startSession = (sessionId: string, agentId = 'bot') =>
    post('/v1/sessions', {
      agent_id: agentId,
      session_id: sessionId,
      messages: [{ role: 'user', content: 'Hi there' }],
    })
  const reward = (sessionId: string, payload: object, headers = {}) =>
    post(`/v1/sessions/${sessionId}/rewards`, payload, headers)
  const call = (sessionId: string, content: string) => post(`/v1/sessions/${sessionId}/tools/add_memory`, { content })
  const caller = async () => ({ ...(await test.modules.makeCaller()), tenantId })
  const run = async (sessionId: string, texts: readonly string[], hasTokens = true) =>
    policy.run(await caller(), { sessionId, script: texts.map((text) => ({ text, hasTokens })) })
  const linesOf = (payload: string): Body[] =>
    payload
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Body)
  const exported = async (query = '') => linesOf((await get(`/v1/trajectories/export${query}`)).payload)

  describe('getTrajectory', () => {
    beforeAll(async () => {
      await startSession('seen')
      await run('seen', [output('Ana lives in Lisbon.'), '<answer>Noted.</answer>'])
      await call('seen', 'By hand')
      await post('/v1/sessions/seen/tool_calls', { output: output('By a client') })
      await reward('seen', { key: 'default', value: 0.5 })
      await reward('seen', { key: 'default', value: 0.75, parts: { task: 1, penalty: -0.25 } })
    })

    it('gives a turn with all that it saw, said, called and changed', async () => {
      const { statusCode, data } = await get('/v1/sessions/seen/trajectory')
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
        output: output('Ana lives in Lisbon.'),
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
      const { data } = await get('/v1/sessions/seen/trajectory')
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
        const { data } = await get(`/v1/sessions/seen/trajectory?include=${include}`)
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
        const { data } = await get(`/v1/sessions/seen/trajectory?limit=1&include=none${cursor}`)
        orders.push(...(data.steps as unknown as StepBody[]).map(({ order }) => order))
        cursor = data.next_cursor === null ? '' : `&cursor=${data.next_cursor}`
      } while (cursor !== '')
      expect(orders).toEqual([1, 2, 3, 4])
    })

    it('of a session without steps has none', async () => {
      await startSession('idle')
      expect((await get('/v1/sessions/idle/trajectory')).data).toMatchObject({ steps: [], rewards: [] })
    })
  })

  describe('listTrajectories', () => {
    const idsOf = async (query: string, as = key) => {
      const ids: unknown[] = []
      let cursor = ''
      do {
        const { data } = await get(`/v1/trajectories?limit=2&${query}${cursor}`, as)
        ids.push(...(data.data as unknown as Body[]).map(({ session_id: id }) => id))
        cursor = data.next_cursor === null ? '' : `&cursor=${data.next_cursor}`
      } while (cursor !== '')
      return ids
    }

    beforeAll(async () => {
      for (const [at, agent] of ['lister', 'lister', 'lister', 'other'].entries()) {
        await startSession(`list-${at}`, agent)
        await call(`list-${at}`, `Fact ${at}`)
      }
      await startSession('list-idle', 'lister')
      await run('list-1', ['<answer>Yes.</answer>'])
      await reward('list-2', { key: 'judge', value: -1 })
      await reward('list-2', { key: 'default', value: 2 })
    })

    it('gives a summary of each', async () => {
      const { statusCode, data } = await get('/v1/trajectories?agent_id=lister')
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
      const { key: bound } = await test.makeKey({ tenantId, agentIds: ['other'] })
      expect(await idsOf('', bound)).toEqual(['list-3'])
      expect(await idsOf('agent_id=lister', bound)).toEqual([])
      expect((await get('/v1/sessions/list-1/trajectory', bound)).statusCode).toBe(404)
      expect((await get('/v1/trajectories/export', bound)).payload).toBe('')
      const attach = (session: string) =>
        test.request(bound, {
          method: 'POST',
          url: `/v1/sessions/${session}/rewards`,
          payload: { key: 'bound', value: 1 },
        })
      expect((await attach('list-1')).data.code).toBe('session.not_found')
      expect((await attach('list-3')).statusCode).toBe(201)
    })
  })

  describe('exportTrajectories', () => {
    beforeAll(async () => {
      await startSession('exp-1', 'exporter')
      await run('exp-1', [output('One'), '<answer>a</answer>'])
      await call('exp-1', 'A step that no model took')
      await run('exp-1', ['<answer>b</answer>'])
      await startSession('exp-2', 'exporter')
      await run('exp-2', ['<answer>c</answer>'], false)
      await reward('exp-1', { key: 'judge', value: 0.25, parts: { task: 0.5 } })
    })

    it('gives one step record for each call of the policy', async () => {
      const response = await get('/v1/trajectories/export?agent_id=exporter')
      expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'application/x-ndjson'])
      const records = linesOf(response.payload)
      const places = records.map(({ session_id: id, run, step, is_last_step: last, tools }) => [
        id,
        run,
        step,
        last,
        tools,
      ])
      expect(places).toEqual([
        ['exp-1', 0, 0, false, ['Add_memory']],
        ['exp-1', 0, 1, false, []],
        ['exp-1', 1, 2, true, []],
        ['exp-2', 0, 0, true, []],
      ])
      const said = policy.sent.at(-4)?.reply
      expect(records[0]).toEqual({
        schema: 'agemem.step.v1',
        group_id: null,
        rollout_id: null,
        run: 0,
        step: 0,
        stage: null,
        is_last_step: false,
        prompt_token_ids: said?.promptTokenIds,
        token_ids: said?.tokenIds,
        logprobs: said?.logprobs,
        model_version: null,
        temperature: 0.7,
        finish_reason: 'stop',
        tools: ['Add_memory'],
        trainable: true,
        reward: 0.25,
        reward_parts: { task: 0.5 },
        advantage: null,
        session_id: 'exp-1',
        agent_id: 'exporter',
        step_id: expect.stringMatching(/^stp_/),
      })
    })

    it('gives a call without tokens too, and says that it cannot be learned from', async () => {
      const record = (await exported('?agent_id=exporter')).at(-1)
      expect(record).toMatchObject({ trainable: false, token_ids: null, logprobs: null, reward: null })
      expect(record?.unusable).toEqual(expect.stringContaining('no token ids'))
    })

    it('carries the reward of the key asked for; unasked that of default, else of the only key, else none', async () => {
      const rewardOf = async (query = '') => (await exported(`?agent_id=exporter${query}`))[0]?.reward
      expect(await rewardOf()).toBe(0.25)
      await reward('exp-1', { key: 'second', value: 0.5 })
      expect(await rewardOf()).toBeNull()
      await reward('exp-1', { key: 'default', value: 0.75 })
      expect(await rewardOf()).toBe(0.75)
      expect(await rewardOf('&reward_key=second')).toBe(0.5)
      expect(await rewardOf('&reward_key=nobody')).toBeNull()
    })

    it('takes the filters of the list', async () => {
      const idsOf = async (query: string) => [
        ...new Set((await exported(`?agent_id=exporter&${query}`)).map(({ session_id: id }) => id)),
      ]
      expect(await idsOf('door=http')).toEqual(['exp-1'])
      expect(await idsOf('has_reward=false')).toEqual(['exp-2'])
      expect(await idsOf('created_before=2020-01-01T00:00:00Z')).toEqual([])
    })
  })

  describe('attachReward', () => {
    beforeAll(() => startSession('judged'))

    it('answers 201 with the reward, on a closed session too', async () => {
      await startSession('shut')
      await post('/v1/sessions/shut/close', {})
      const { statusCode, data } = await reward('shut', { key: 'default', value: -0.125, parts: { a: 1e-7 } })
      expect(statusCode).toBe(201)
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
      await Promise.all(values.map((value) => reward('judged', { key: 'crowd', value })))
      const { data } = await get('/v1/sessions/judged/trajectory')
      const kept = (data.rewards as unknown as Body[]).find(({ key: name }) => name === 'crowd')
      const history = (kept?.history ?? []) as { value: number }[]
      expect([kept?.value, ...history.map(({ value }) => value)].map(Number).sort((a, b) => a - b)).toEqual(values)
      await reward('judged', { key: 'crowd', value: 99 })
      const after = (await get('/v1/sessions/judged/trajectory')).data.rewards as unknown as Body[]
      expect(after.find(({ key: name }) => name === 'crowd')?.value).toBe(99)
    })

    it('M2: a retry with the same Idempotency-Key attaches once and answers the same; another body is refused', async () => {
      const headers = { 'idempotency-key': 'reward-1' }
      const first = await reward('judged', { key: 'once', value: 1 }, headers)
      const second = await reward('judged', { key: 'once', value: 1 }, headers)
      expect([second.statusCode, second.data]).toEqual([201, first.data])
      expect((await reward('judged', { key: 'once', value: 2 }, headers)).data.code).toBe('idempotency.key_reused')
      const kept = ((await get('/v1/sessions/judged/trajectory')).data.rewards as unknown as Body[]).find(
        ({ key: name }) => name === 'once',
      )
      expect(kept?.history).toEqual([])
    })

    it('takes 64 keys and no more, and goes on taking those', async () => {
      await startSession('keys')
      for (let at = 0; at < 64; at += 1) await reward('keys', { key: `k${at}`, value: at })
      const refused = await reward('keys', { key: 'k64', value: 1 })
      expect([refused.statusCode, refused.data.code]).toEqual([422, 'reward.too_many_keys'])
      expect((await reward('keys', { key: 'k3', value: 1 })).statusCode).toBe(201)
    })

    it('refuses what is no finite number, what has no key and what it does not know', async () => {
      const raw = (payload: string) =>
        test.request(key, {
          method: 'POST',
          url: '/v1/sessions/judged/rewards',
          payload,
          headers: { 'content-type': 'application/json' },
        })
      const bodies = [
        '{"key":"a","value":1e999}',
        '{"key":"a","value":-1e999}',
        '{"key":"a","value":"1"}',
        '{"key":"a","value":null}',
        '{"value":1}',
        '{"key":"","value":1}',
        '{"key":"a b","value":1}',
        '{"key":"a","value":1,"parts":{"x":"y"}}',
        '{"key":"a","value":1,"parts":{"x":1e999}}',
        '{"key":"a","value":1,"parts":{"x y":1}}',
        '{"key":"a","value":1,"more":true}',
        '[]',
      ]
      for (const body of bodies) {
        const { statusCode, data } = await raw(body)
        expect([body, statusCode, data.code]).toEqual([body, 400, 'request.invalid'])
      }
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
    for (const url of urls) expect([url, (await get(url)).statusCode]).toEqual([url, 400])
  })

  it('T1: a session of another tenant is the same 404 as a missing one, and is in no list and no export', async () => {
    const { key: theirs } = await test.makeKey()
    const shown = async (session: string) => {
      const read = await get(`/v1/sessions/${session}/trajectory`, theirs)
      const attached = await test.request(theirs, {
        method: 'POST',
        url: `/v1/sessions/${session}/rewards`,
        payload: { key: 'default', value: 1 },
      })
      return [read, attached].map(({ statusCode, data }) => [statusCode, data.code, data.detail])
    }
    expect(await shown('seen')).toEqual(await shown('missing'))
    expect((await shown('seen'))[0]?.[0]).toBe(404)
    expect((await get('/v1/trajectories', theirs)).data.data).toEqual([])
    expect((await get('/v1/trajectories/export', theirs)).payload).toBe('')
  })

  it('T5: needs a key, and trajectory:read or trajectory:write', async () => {
    const { key: reader } = await test.makeKey({ tenantId, scopes: ['trajectory:read'] })
    const { key: writer } = await test.makeKey({ tenantId, scopes: ['trajectory:write'] })
    const payload = { key: 'default', value: 1 }
    const attach = { method: 'POST' as const, url: '/v1/sessions/seen/rewards', payload }
    for (const url of ['/v1/sessions/seen/trajectory', '/v1/trajectories', '/v1/trajectories/export']) {
      const codes = await Promise.all([null, writer, reader].map((as) => test.request(as, { url })))
      expect([url, ...codes.map(({ statusCode }) => statusCode)]).toEqual([url, 401, 403, 200])
    }
    const attached = await Promise.all([null, reader, writer].map((as) => test.request(as, attach)))
    expect(attached.map(({ statusCode }) => statusCode)).toEqual([401, 403, 201])
  })

  it('M7: erasing the agent leaves nothing of its trajectories, and counts the rewards', async () => {
    await startSession('gone', 'erased')
    await run('gone', ['<answer>Bye.</answer>'])
    await reward('gone', { key: 'a', value: 1 })
    await reward('gone', { key: 'a', value: 2 })
    const { data } = await test.request(key, { method: 'DELETE', url: '/v1/agents/erased' })
    expect(data.stores).toContainEqual({ store: 'rewards', removed: 2 })
    expect(data.stores).toContainEqual({ store: 'steps', removed: 1 })
    expect((await get('/v1/sessions/gone/trajectory')).statusCode).toBe(404)
    expect((await get('/v1/trajectories?agent_id=erased')).data.data).toEqual([])
    expect(await exported('?agent_id=erased')).toEqual([])
  })
})
