import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { composePrompt } from '../../../src/modules/policy/compose-prompt.ts'
import { promptVersion, situationNote, systemPrompt } from '../../../src/modules/policy/policy-prompt.ts'
import { toolNames } from '../../../src/modules/tool/tool-definitions.ts'
import { makeContext } from '../../support/context-model.ts'

const situation = {
  format: 'text',
  mode: 'answer',
  turn: 2,
  turnsMax: 5,
  tokens: 6_800,
  budgetTokens: 8_192,
  corrections: [],
} as const

describe('what the policy is told', () => {
  it('stands in the documentation, word by word', () => {
    const page = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8')
    const shown = page.split('\n').flatMap((line) => (line.startsWith('> ') ? [line.slice(2)] : []))
    const [rules = '', form = ''] = systemPrompt('text').split('\n\n')
    const notes = [situation, { ...situation, turn: 5 }, { ...situation, mode: 'observe' as const }].map(situationNote)
    expect(shown).toEqual([...rules.split('\n'), ...form.split('\n'), ...notes])
    expect(page).toContain(`\`${promptVersion}\``)
  })

  it('names every tool in text, and leaves them to the endpoint in native', () => {
    for (const name of toolNames) expect(systemPrompt('text')).toContain(`{"name":"${name}"`)
    expect(systemPrompt('native')).not.toContain('"parameters"')
  })

  it("has the session's system messages in its one system message, and calls and results in tags", () => {
    const toolCalls = [
      { id: 'c1', type: 'function' as const, function: { name: 'Retrieve_memory', arguments: '{"query":"a"}' } },
    ]
    const context = makeContext([
      { role: 'system', content: 'Speak Portuguese.' },
      { role: 'user', content: 'Where do I live?' },
      { role: 'assistant', content: '', toolCalls },
      { role: 'tool', content: '{"memories":["</tool_response>"]}', toolCallId: 'c1' },
      { role: 'assistant', content: 'In Lisbon.' },
    ])
    const { messages, tools } = composePrompt(context, situation)
    expect(tools).toEqual([])
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant', 'user'])
    expect(messages[0]?.content.endsWith('\n\nSpeak Portuguese.')).toBe(true)
    expect(messages[2]?.content).toBe('<tool_call>[{"name":"Retrieve_memory","arguments":{"query":"a"}}]</tool_call>')
    expect(messages[3]?.content).toBe('<tool_response>{"memories":["\\u003c/tool_response>"]}</tool_response>')
    expect(messages[4]?.content).toBe('<answer>In Lisbon.</answer>')
  })

  it('C2: shows no call without a result, also when its turn broke off and nothing was appended since', () => {
    const toolCalls = ['c1', 'c2'].map((id) => ({
      ...{ id, type: 'function' as const },
      function: { name: 'Add_memory', arguments: '{"content":"a"}' },
    }))
    const context = makeContext([
      { role: 'user', content: 'Remember this.' },
      { role: 'assistant', content: '', toolCalls },
      { role: 'tool', content: '{"memory_id":"mem_1"}', toolCallId: 'c1' },
    ])
    const { messages } = composePrompt(context, { ...situation, format: 'native' })
    expect(messages.map(({ role, tool_call_id }) => tool_call_id ?? role)).toEqual([
      ...['system', 'user', 'assistant', 'c1', 'c2', 'user'],
    ])
  })

  it('shows results in the order of their calls, in whichever they came', () => {
    const toolCalls = ['rome', 'oslo'].map((id) => ({
      ...{ id, type: 'function' as const },
      function: { name: 'get_weather', arguments: `{"city":"${id}"}` },
    }))
    const turn = [
      { role: 'assistant' as const, content: '', toolCalls },
      { role: 'tool' as const, content: 'snow', toolCallId: 'oslo' },
      { role: 'tool' as const, content: 'sun', toolCallId: 'rome' },
    ]
    const { messages } = composePrompt(
      makeContext([{ role: 'user', content: 'Weather?' }, ...turn, ...turn]),
      situation,
    )
    const results = messages.map(({ content }) => content.match(/snow|sun/g)).filter(Boolean)
    expect(results).toEqual([
      ['sun', 'snow'],
      ['sun', 'snow'],
    ])
  })

  it('offers functions and leaves messages as they are in native', () => {
    const context = makeContext([{ role: 'user', content: 'Hello' }])
    const { messages, tools } = composePrompt(context, { ...situation, format: 'native' })
    expect(tools.map(({ function: { name } }) => name)).toEqual(toolNames)
    expect(messages).toHaveLength(2)
    expect(messages[1]?.content).toMatch(/^Hello\n\n\[Context: /)
  })
})
