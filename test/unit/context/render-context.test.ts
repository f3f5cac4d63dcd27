import { describe, expect, it } from 'vitest'
import { planAppend } from '../../../src/modules/context/plan-append.ts'
import { renderContext } from '../../../src/modules/context/render-context.ts'
import { toolUnitsOf } from '../../../src/modules/context/tool-units.ts'
import { countTokens, createCounterIds, makeCall, makeContext } from '../../support/context-model.ts'

describe('the rendered context', () => {
  it('holds each message as it was appended, with no field that it does not have', () => {
    const toolCalls = [makeCall('call_0')]
    const context = makeContext([
      { role: 'user', content: 'Look it up.', name: 'ada' },
      { role: 'assistant', content: '', toolCalls },
      { role: 'tool', content: 'found', toolCallId: 'call_0' },
    ])
    expect(renderContext(context)).toEqual([
      { role: 'user', content: 'Look it up.', name: 'ada' },
      { role: 'assistant', content: '', tool_calls: toolCalls },
      { role: 'tool', content: 'found', tool_call_id: 'call_0' },
    ])
  })

  it('names a summary as one', () => {
    const context = makeContext([{ role: 'user', content: 'They met.' }])
    const messages = context.messages.map((message) => ({ ...message, kind: 'summary' as const }))
    expect(renderContext({ ...context, messages })[0]).toEqual({
      role: 'user',
      content: '[Summary of earlier messages, which it replaces]\nThey met.',
    })
  })

  it('gives an abandoned call a result, and leaves one at the end open', () => {
    const messages = [{ role: 'assistant' as const, content: '', toolCalls: [makeCall('call_0')] }]
    expect(renderContext(makeContext(messages))).toHaveLength(1)
    const abandoned = renderContext(makeContext([...messages, { role: 'user', content: 'Never mind.' }]))
    expect(abandoned.map(({ role, tool_call_id }) => [role, tool_call_id])).toEqual([
      ['assistant', undefined],
      ['tool', 'call_0'],
      ['user', undefined],
    ])
  })
})

describe('tool calls', () => {
  it('that share an id belong to the results that follow each', () => {
    const turn = (result: string) => [
      { role: 'assistant' as const, content: '', toolCalls: [makeCall('call_0')] },
      { role: 'tool' as const, content: result, toolCallId: 'call_0' },
    ]
    const units = toolUnitsOf(makeContext([...turn('one'), ...turn('two')]).messages)
    expect(units.map(({ members }) => members.map(({ content }) => content))).toEqual([
      ['', 'one'],
      ['', 'two'],
    ])
  })

  it.each([
    ['without its call', []],
    [
      'of a call that is answered',
      [
        { role: 'assistant' as const, content: '', toolCalls: [makeCall('call_0')] },
        { role: 'tool' as const, content: 'one', toolCallId: 'call_0' },
      ],
    ],
  ])('a result %s cannot be appended, and neither can its batch', (_, before) => {
    const messages = [
      { role: 'user' as const, content: 'hi' },
      { role: 'tool' as const, content: 'two', toolCallId: 'call_0' },
    ]
    const plan = planAppend(makeContext(before), { messages, countTokens, createId: createCounterIds() })
    expect(plan).toMatchObject({ outcome: 'refused', code: 'context.orphan_tool_result' })
  })
})
