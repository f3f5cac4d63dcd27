import OpenAI from 'openai'
import { beforeEach, describe, expect, it } from 'vitest'
import { createTestApp } from '../support/app.ts'
import { useChats } from '../support/chats.ts'
import { createHttp } from '../support/http.ts'
import { createOpenAiClients, readChunks } from '../support/openai-clients.ts'
import { answering } from '../support/policy.ts'

const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hello' }]
const hello = { model: 'agemem', messages }

describe('what chat completions refuse, as the official client reads it', () => {
  const { app, server, clients, client, http, session, stored } = useChats('errors')

  beforeEach(() => {
    server().fail(null)
    server().reply(() => answering('Fine.'))
  })

  const errorOf = async (asked: PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> => {
    try {
      await asked
    } catch (error) {
      if (error instanceof OpenAI.APIError) return error
      throw error
    }
    throw new Error('The request was answered.')
  }

  it('no session is named: a 400 that says which header to send', async () => {
    const error = await errorOf(clients().open().chat.completions.create(hello))
    expect(error).toBeInstanceOf(OpenAI.BadRequestError)
    expect(error).toMatchObject({ code: 'chat.session_missing', type: 'invalid_request_error', status: 400 })
    expect(error.message).toContain('AgeMem-Session')
  })

  it('the body is a problem document as well, and says whether to try again', async () => {
    const answer = await http().post('/v1/chat/completions', hello)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(answer.headers['x-should-retry']).toBe('false')
    expect(answer.json()).toMatchObject({
      ...{ code: 'chat.session_missing', status: 400, detail: expect.any(String), request_id: expect.any(String) },
      error: { code: 'chat.session_missing', message: expect.any(String), type: 'invalid_request_error' },
    })
  })

  it('a session that is not there is a 404, unless an agent is named; of another tenant the same', async () => {
    const missing = await errorOf(clients().open({ session: session() }).chat.completions.create(hello))
    expect(missing).toBeInstanceOf(OpenAI.NotFoundError)
    await client().chat.completions.create(hello)
    const { key } = await app().makeKey()
    const foreign = await errorOf(clients().open({ key, session: session() }).chat.completions.create(hello))
    expect([foreign.message, foreign.code]).toEqual([missing.message, 'session.not_found'])
  })

  it('first requests that arrive together create one session', async () => {
    const answers = await Promise.allSettled([1, 2, 3].map(() => client().chat.completions.create(hello)))
    expect(answers.some(({ status }) => status === 'fulfilled')).toBe(true)
    for (const answer of answers)
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'session.busy' })
    expect((await stored()).filter(({ role }) => role === 'user').length).toBeLessThanOrEqual(3)
  })

  it("a session of another agent is a 409, and creating one needs the scope for it and the key's own agent", async () => {
    await client().chat.completions.create(hello)
    const other = await errorOf(clients().open({ session: session(), agent: 'b' }).chat.completions.create(hello))
    expect([other.status, other.code, other.param]).toEqual([409, 'chat.agent_mismatch', 'headers.agemem-agent'])
    const { key } = await app().makeKey({ scopes: ['policy:run'] })
    const scoped = await errorOf(clients().open({ key, session: 'new', agent: 'a' }).chat.completions.create(hello))
    expect([scoped.status, scoped.code]).toEqual([403, 'auth.scope_missing'])
    const { key: bound } = await app().makeKey({ agentIds: ['mine'] })
    const foreign = await errorOf(
      clients().open({ key: bound, session: 'new', agent: 'a' }).chat.completions.create(hello),
    )
    expect([foreign.status, foreign.code]).toEqual([403, 'auth.agent_not_allowed'])
  })

  it('a wrong key is a 401, also for the models', async () => {
    const stranger = clients().open({ key: 'agm_wrong', session: session() })
    for (const asked of [() => stranger.chat.completions.create(hello), () => stranger.models.list()]) {
      const error = await errorOf(asked())
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
      expect([error.code, error.type]).toEqual(['auth.invalid_key', 'authentication_error'])
    }
  })

  it('a run that is under way is a 409 that clients try again', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    server().reply(async () => {
      await held
      return answering('Late.')
    })
    const before = server().turns().length
    const first = client().chat.completions.create(hello)
    await expect.poll(() => server().turns().length).toBe(before + 1)
    const busy = await errorOf(client().chat.completions.create(hello))
    expect(busy).toBeInstanceOf(OpenAI.ConflictError)
    expect([busy.code, busy.headers?.get('x-should-retry')]).toEqual(['session.busy', 'true'])
    release()
    expect((await first).choices[0]?.message.content).toBe('Late.')
  })

  it('a closed session is a 409 that they do not', async () => {
    await client().chat.completions.create(hello)
    await http().post(`/v1/sessions/${session()}/close`)
    const closed = await errorOf(client().chat.completions.create(hello))
    expect([closed.status, closed.code, closed.headers?.get('x-should-retry')]).toEqual([
      409,
      'session.closed',
      'false',
    ])
  })

  it('a quota of model tokens that is used up is a 429', async () => {
    const { key } = await app().makeKey({ quotas: { modelTokensPerDayMax: 1 } })
    const poor = clients().open({ key, session: session(), agent: 'a' })
    await poor.chat.completions.create(hello)
    const error = await errorOf(
      poor.chat.completions.create({ model: 'agemem', messages: [{ role: 'user', content: 'More' }] }),
    )
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
    expect([error.code, error.type]).toEqual(['quota.model_tokens', 'rate_limit_error'])
    expect(Number(error.headers?.get('retry-after'))).toBeGreaterThan(0)
  })

  it('another model than the one that is served is a 404 that names it', async () => {
    const error = await errorOf(client().chat.completions.create({ ...hello, model: 'gpt-4o' }))
    expect([error.status, error.code, error.param]).toEqual([404, 'chat.model_not_found', 'model'])
    expect(error.message).toContain(server().model)
  })

  it('a model server that fails is a 5xx, with a status of its own even when a stream was asked for', async () => {
    for (const stream of [false, true]) {
      server().fail('down')
      const error = await errorOf(client().chat.completions.create({ ...hello, stream }))
      expect(error).toBeInstanceOf(OpenAI.InternalServerError)
      expect([error.status, error.code]).toEqual([503, 'inference.unavailable'])
      server().fail(null)
    }
  })

  it('a failure amid a stream reaches the client as an error', async () => {
    server().reply(answering('A long answer that will never be whole, whoever waits for it, and however long.'))
    server().fail('error-in-stream')
    const stream = await client().chat.completions.create({ ...hello, stream: true })
    const error = await errorOf(readChunks(stream))
    expect(error.code).toMatch(/^inference\./)
  })

  it.each([
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['response_format', { response_format: { type: 'json_object' } }],
    ['tool_choice', { tools: [], tool_choice: 'required' }],
    ['logit_bias', { logit_bias: { 50256: -100 } }],
    ['functions', { functions: [{ name: 'f' }] }],
    ['audio', { audio: { format: 'mp3', voice: 'alloy' } }],
  ])('%s would change the meaning, so it is a 422 that names it', async (param, fields) => {
    const error = await errorOf(client().chat.completions.create({ ...hello, ...(fields as object) }))
    expect(error).toBeInstanceOf(OpenAI.UnprocessableEntityError)
    expect([error.code, error.param]).toEqual(['chat.unsupported_field', param])
  })

  it('a picture is refused, and named', async () => {
    const image_url = { url: 'data:image/png;base64,AA==' }
    const content: OpenAI.ChatCompletionContentPart[] = [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url },
    ]
    const error = await errorOf(
      client().chat.completions.create({ model: 'agemem', messages: [{ role: 'user', content }] }),
    )
    expect([error.code, error.param]).toEqual(['chat.unsupported_field', 'messages.0.content.1'])
  })

  it('fields that change nothing are taken, also those that are null or nobody knows', async () => {
    const answer = await client().chat.completions.create({
      ...hello,
      ...{
        n: 1,
        logprobs: false,
        top_logprobs: null,
        response_format: { type: 'text' },
        tool_choice: 'auto',
        stop: null,
      },
      ...{ user: 'u', store: true, metadata: { a: 'b' }, service_tier: 'auto', reasoning_effort: 'low', seed: null },
      ...{ presence_penalty: 0.5, frequency_penalty: 0, parallel_tool_calls: true, max_tokens: null, made_up: [1] },
      ...({ logit_bias: {}, stream: false } as object),
    } as OpenAI.ChatCompletionCreateParamsNonStreaming)
    expect(answer.choices[0]?.message.content).toBe('Fine.')
  })

  it('a request of a wrong form is a 400 that points at it', async () => {
    const error = await errorOf(client().chat.completions.create({ ...hello, temperature: 3 }))
    expect([error.status, error.code, error.param]).toEqual([400, 'request.invalid', 'temperature'])
  })
})

describe('chat completions without a model', () => {
  it('are a 503 that says how to name one; there are no models', async () => {
    const test = await createTestApp()
    try {
      const clients = await createOpenAiClients(test)
      const client = clients.open({ session: 's', agent: 'a' })
      const asked = client.chat.completions.create(hello)
      await expect(asked).rejects.toBeInstanceOf(OpenAI.InternalServerError)
      await expect(asked).rejects.toMatchObject({ status: 503, code: 'inference.not_configured' })
      expect((await client.models.list()).data).toEqual([])
      expect((await createHttp(test, clients.key).get('/v1/sessions/s')).statusCode).toBe(404)
    } finally {
      await test.close()
    }
  })
})
