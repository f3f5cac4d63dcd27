/** What a tenant at its quota meets at the doors of the policy: the right refusal, and nothing that is half done. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Answer } from '../support/app.ts'
import { codeOf, createHttp, expectStatus, type Http, once, useAppOf } from '../support/http.ts'
import { answering, calling, createPolicyTest } from '../support/policy.ts'

type Call = { readonly name: string; readonly status: string; readonly problem?: { readonly code: string } | null }

const session = '/v1/sessions/s'
const adding = calling({ name: 'Add_memory', arguments: { content: 'Ana is allergic to peanuts.' } })
const hello = { messages: [{ role: 'user', content: 'Hello' }], model: 'agemem' }
const chatHeaders = { 'agemem-session': 's', 'agemem-agent': 'a' }

describe('a tenant at its quota', () => {
  const { app } = useAppOf(() => createPolicyTest())

  beforeEach(() => app().server.reply(() => answering('Done.')))

  const open = async (quotas: Record<string, number> = {}) => {
    const { key, tenantId } = await app().makeKey({ quotas })
    const http = createHttp(app(), key)
    expectStatus(await http.post('/v1/sessions', { agent_id: 'a', session_id: 's' }), 201)
    return { http, tenantId }
  }

  /** Of the tenant from now on. */
  const setQuotas = async (tenantId: string, quotas: Record<string, number | null>) => {
    const url = `/v1/admin/tenants/${tenantId}`
    expectStatus(await app().request(app().operatorKey, { method: 'PATCH', url, payload: { quotas } }), 200)
  }

  const usageOf = async (http: Http) =>
    (await http.get('/v1/usage')).data as unknown as {
      stored_bytes: number
      model_tokens_today: number
      memories: number
    }

  /** Everything of the session that a refused request must leave as it was. */
  const stateOf = async (http: Http) => ({
    context: (await http.get(`${session}/context`)).data,
    messages: (await http.get(`${session}/messages`)).data,
    trajectory: (await http.get(`${session}/trajectory`)).data,
    stored: (await usageOf(http)).stored_bytes,
  })

  const doors: readonly (readonly [string, (http: Http, headers?: Record<string, string>) => Promise<Answer>])[] = [
    ['policy/step', (http, headers) => http.post(`${session}/policy/step`, { input: 'Hello' }, headers)],
    ['policy/run', (http, headers) => http.post(`${session}/policy/run`, { input: 'Hello' }, headers)],
    [
      'policy/run with events',
      (http, headers) =>
        http.post(`${session}/policy/run`, { input: 'Hello' }, { ...headers, accept: 'text/event-stream' }),
    ],
    ['a chat', (http, headers) => http.post('/v1/chat/completions', hello, { ...headers, ...chatHeaders })],
    [
      'a chat with events',
      (http, headers) => http.post('/v1/chat/completions', { ...hello, stream: true }, { ...headers, ...chatHeaders }),
    ],
  ]

  it.each(doors)(
    'of model tokens is refused by %s before anything is done, and served when it has more',
    async (_, send) => {
      const { http, tenantId } = await open({ modelTokensPerDayMax: 1 })
      expectStatus(await http.post(`${session}/policy/run`, { input: 'First' }), 200)
      const [before, asked] = [await stateOf(http), app().server.turns().length]
      for (const headers of [{}, once('k')]) {
        const refused = await send(http, headers)
        expect(codeOf(refused)).toEqual([429, 'quota.model_tokens'])
        expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      }
      expect([await stateOf(http), app().server.turns().length]).toEqual([before, asked])
      await setQuotas(tenantId, { model_tokens_per_day: null })
      expectStatus(await send(http, once('k')), 200)
    },
  )

  it.each(doors)('of stored bytes is refused by %s before anything is done, and no model is asked', async (_, send) => {
    const { http, tenantId } = await open()
    await setQuotas(tenantId, { stored_bytes: (await usageOf(http)).stored_bytes })
    const [before, asked] = [await stateOf(http), app().server.turns().length]
    for (const headers of [{}, once('k')])
      expect(codeOf(await send(http, headers))).toEqual([429, 'quota.stored_bytes'])
    expect([await stateOf(http), app().server.turns().length]).toEqual([before, asked])
    await setQuotas(tenantId, { stored_bytes: null })
    expectStatus(await send(http, once('k')), 200)
  })

  it('of model tokens gets no new chat either: the session that it names is there, and empty', async () => {
    const { http } = await open({ modelTokensPerDayMax: 1 })
    expectStatus(await http.post(`${session}/policy/run`, { input: 'First' }), 200)
    const refused = await http.post('/v1/chat/completions', hello, { ...chatHeaders, 'agemem-session': 'other' })
    expect(codeOf(refused)).toEqual([429, 'quota.model_tokens'])
    expect((await http.get('/v1/sessions/other/context')).data).toMatchObject({ version: 0, messages: [] })
  })

  it('of memories goes on: the model is told which call failed and why, and the context is whole', async () => {
    const { http } = await open({ memoriesMax: 1 })
    expectStatus(await http.post('/v1/agents/a/memories', { content: 'The only one.' }), 201)
    app().server.reply(adding)
    app().server.reply(answering('I cannot keep that.'))
    const run = expectStatus(await http.post(`${session}/policy/run`, { input: 'Keep this.' }), 200).data
    const [step] = run.steps as unknown as readonly { calls: readonly Call[] }[]
    expect(step?.calls).toMatchObject([{ name: 'Add_memory', status: 'error', problem: { code: 'quota.memories' } }])
    expect(run.answer).toBe('I cannot keep that.')
    const told = app().server.turns().at(-1)?.body.messages ?? []
    expect(JSON.stringify(told)).toContain('quota of 1 memories')
    const roles = ((await http.get(`${session}/context`)).data.messages as unknown as { role: string }[]).map(
      ({ role }) => role,
    )
    expect(roles).toEqual(['user', 'assistant', 'tool', 'assistant'])
    expect((await usageOf(http)).memories).toBe(1)
  })

  it('of model tokens that is reached within a run ends that run as it would have, and refuses the next', async () => {
    const { http } = await open({ modelTokensPerDayMax: 1 })
    app().server.reply(adding)
    const run = expectStatus(await http.post(`${session}/policy/run`, { input: 'Keep this.' }), 200).data
    expect(run).toMatchObject({ answer: 'Done.', finish_reason: 'answer', usage: { model_calls: 2 } })
    const { prompt_tokens, completion_tokens } = run.usage as unknown as Record<string, number>
    const used = Number(prompt_tokens) + Number(completion_tokens)
    await expect.poll(async () => (await usageOf(http)).model_tokens_today).toBe(used)
    expect(codeOf(await http.post(`${session}/policy/run`, { input: 'More' }))).toEqual([429, 'quota.model_tokens'])
  })

  it('of stored bytes that a turn reaches keeps the input, records no turn, and goes on when there is room', async () => {
    const { http, tenantId } = await open()
    const { stored_bytes: bytes } = await usageOf(http)
    await setQuotas(tenantId, { stored_bytes: bytes + 2_000 })
    app().server.reply(answering('word '.repeat(1_000)))
    const refused = await http.post(`${session}/policy/run`, { input: 'Hello' }, once('k'))
    expect(codeOf(refused)).toEqual([429, 'quota.stored_bytes'])
    const after = await stateOf(http)
    expect([after.context.version, after.context.messages, after.trajectory.steps]).toEqual([
      1,
      [{ role: 'user', content: 'Hello' }],
      [],
    ])
    expect(after.stored).toBeLessThanOrEqual(bytes + 2_000)
    await expect.poll(async () => (await usageOf(http)).model_tokens_today).toBeGreaterThan(100)
    await setQuotas(tenantId, { stored_bytes: null })
    const run = expectStatus(await http.post(`${session}/policy/run`, { input: 'Hello' }, once('k')), 200).data
    expect(run.answer).toBe('Done.')
    const { context, trajectory } = await stateOf(http)
    const messages = context.messages as unknown as readonly { content: string }[]
    expect(messages.map(({ content }) => content)).toEqual(['Hello', 'Done.'])
    expect(trajectory.steps).toHaveLength(1)
  })
})
