import { beforeAll, describe, expect, it } from 'vitest'
import { expectStatus, useAppOf } from '../support/http.ts'
import { createPolicyTest } from '../support/policy.ts'

const defaults = { format: 'native', turnsMax: 5, deadlineMs: 20_000, temperature: 0, tokensMax: 256 } as const

describe('the policy with native function calls', () => {
  const { http, app } = useAppOf(() => createPolicyTest({ app: { policyDefaults: defaults } }))

  beforeAll(async () => {
    expectStatus(await http.post('/v1/sessions', { agent_id: 'ana', session_id: 's' }), 201)
  })

  it('offers the six tools as functions, runs what is called and keeps reasoning apart', async () => {
    app().server.reply({
      reasoning: 'Worth keeping.',
      toolCalls: [{ name: 'Add_memory', arguments: { content: 'Ana lives in Lisbon.' } }],
    })
    app().server.reply({ reasoning: 'Done.', text: 'Noted: Lisbon.' })
    const run = expectStatus(await http.post('/v1/sessions/s/policy/run', { input: 'I live in Lisbon.' }), 200)
    expect(run.data).toMatchObject({
      answer: 'Noted: Lisbon.',
      finish_reason: 'answer',
      steps: [
        { think: 'Worth keeping.', calls: [{ name: 'Add_memory', status: 'ok' }], violations: [] },
        { think: 'Done.', answer: 'Noted: Lisbon.', violations: [] },
      ],
    })
    const [first, second] = app().server.turns()
    expect(first?.body.tools).toHaveLength(6)
    expect(String(first?.body.messages[0]?.content)).not.toContain('<tool_call>')
    expect(second?.body.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool', 'user'])
    const context = await http.get('/v1/sessions/s/context')
    expect(JSON.stringify(context.data.messages)).not.toContain('Worth keeping')
  })

  it('writes a SUMMARY with the same model, says so, and lists the facts that it dropped', async () => {
    const messages = [
      { role: 'user', content: 'The ferry to Porto costs 40 euro and leaves at 9:30 from quay 7.' },
      { role: 'assistant', content: 'Understood. I noted the ferry, the price, the time and the quay for your trip.' },
      { role: 'user', content: 'Shall we talk about lunch? Maria likes the place by the harbour very much indeed.' },
      { role: 'assistant', content: 'Lunch by the harbour sounds good. I will remember that Maria likes it there.' },
      { role: 'user', content: 'What else?' },
    ]
    expectStatus(await http.post('/v1/sessions', { agent_id: 'ana', session_id: 'sum', messages }), 201)
    app().server.reply({ text: '- The ferry to Porto costs 40 euro.' })
    const summary = await http.post('/v1/sessions/sum/tools/summary_context', { span: 'all' })
    expect(expectStatus(summary, 200).data.result).toMatchObject({
      summary: '- The ferry to Porto costs 40 euro.',
      written_by: 'model',
    })
    const edits = (await http.get('/v1/sessions/sum/edits')).data.data as unknown as readonly {
      details: { dropped_facts: readonly string[] }
    }[]
    expect(edits[0]?.details.dropped_facts).toEqual(expect.arrayContaining(['9:30', 'Maria']))
    expect(edits[0]?.details.dropped_facts).not.toContain('Porto')
  })

  it.each(['down', 'not-json'] as const)('falls back to an extract when the model fails: %s', async (fault) => {
    const messages = Array.from({ length: 8 }, (_, at) => ({
      role: at % 2 === 0 ? 'user' : 'assistant',
      content: `In part ${at} of the plan we meet at the station of Coimbra at ${at + 9} o'clock and take the bus.`,
    }))
    const session = `sum-${fault}`
    expectStatus(await http.post('/v1/sessions', { agent_id: 'ana', session_id: session, messages }), 201)
    app().server.fail(fault)
    const summary = await http.post(`/v1/sessions/${session}/tools/summary_context`, { span: 'all' })
    app().server.fail(null)
    expect(expectStatus(summary, 200).data.result).toMatchObject({ written_by: 'extractive' })
  })
})
