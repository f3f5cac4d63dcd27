import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHttp, expectStatus, type Http } from '../support/http.ts'
import { answering, calling, createPolicyTest, type PolicyTest } from '../support/policy.ts'

type Step = {
  readonly step_id: string
  readonly prompt: readonly object[]
  readonly prompt_tools: readonly object[]
  readonly prompt_token_ids: readonly number[]
  readonly token_ids: readonly number[]
  readonly logprobs: readonly number[]
  readonly model: string
  readonly calls: readonly { name: string; effective: boolean }[]
}

describe.each(['text', 'native'] as const)('R1: the trajectory of a run in the %s format', (format) => {
  let test: PolicyTest
  let http: Http

  beforeAll(async () => {
    test = await createPolicyTest({
      app: { policyDefaults: { format, turnsMax: 6, deadlineMs: 20_000, temperature: 1, tokensMax: 256 } },
    })
    http = createHttp(test, (await test.makeKey()).key)
  })
  afterAll(() => test.close())

  const call = (name: string, args: object) =>
    format === 'text' ? calling({ name, arguments: args }) : { toolCalls: [{ name, arguments: args }] }

  it('R1: gives back exactly what the model saw and wrote at each step, although the context was edited since', async () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'My cat is called Miso and weighs 4 kilos. The weather is lovely today, is it not?' },
      { role: 'assistant', content: 'It is a lovely day indeed, with sun and a light wind from the sea.' },
    ]
    expectStatus(await http.post('/v1/sessions', { agent_id: 'ana', session_id: 's', messages }), 201)
    test.server.reply(call('Add_memory', { content: 'The cat is called Miso.' }))
    test.server.reply(call('Retrieve_memory', { query: 'name of the cat' }))
    test.server.reply(call('Summary_context', { span: 'all' }))
    // The summary is written by the same model.
    test.server.reply({ text: 'Miso the cat weighs 4 kilos.' })
    test.server.reply(format === 'text' ? answering('Miso.') : { text: 'Miso.' })
    expectStatus(await http.post('/v1/sessions/s/policy/run', { input: 'What is my cat called?' }), 200)
    expectStatus(await http.post('/v1/sessions/s/context/reset'), 200)

    const { data } = expectStatus(await http.get('/v1/sessions/s/trajectory'), 200)
    const steps = data.steps as unknown as readonly Step[]
    const turns = test.server
      .turns()
      .filter(({ body }) => JSON.stringify(body.messages).includes('memory that you manage'))
    expect(steps).toHaveLength(4)
    expect(steps.map(({ prompt }) => prompt)).toEqual(turns.map(({ body }) => body.messages))
    expect(steps.map((step) => step.prompt_tools)).toEqual(turns.map(({ body }) => body.tools ?? []))
    for (const step of steps) {
      expect(step.model).toBe(test.server.model)
      expect(step.prompt_token_ids.length).toBeGreaterThan(10)
      expect(step.token_ids.length).toBeGreaterThan(0)
      expect(step.logprobs).toHaveLength(step.token_ids.length)
    }
    expect(steps.flatMap(({ calls }) => calls.map(({ name, effective }) => [name, effective]))).toEqual([
      ['Add_memory', true],
      ['Retrieve_memory', true],
      ['Summary_context', true],
    ])
  })
})
