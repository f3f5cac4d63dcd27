import { describe, expect, it } from 'vitest'
import { jsonPieces } from '../../../src/modules/context/json-pieces.ts'
import { isOwnTool, quotableTexts, type SummarizableMessage } from '../../../src/modules/context/quotable-text.ts'
import { toolDefinitions, toolKeys } from '../../../src/modules/tool/tool-definitions.ts'
import { makeCall } from '../../support/context-model.ts'

const message = (
  role: SummarizableMessage['role'],
  content: string,
  more: Partial<SummarizableMessage> = {},
): SummarizableMessage => ({
  role,
  content,
  contextPosition: 0,
  name: null,
  kind: 'appended',
  toolCalls: null,
  toolCallId: null,
  recalledMemories: [],
  ...more,
})
const piecesOf = (role: SummarizableMessage['role'], content: string) =>
  quotableTexts([message(role, content)]).flatMap(({ pieces }) => pieces)

describe('what a summary may quote', () => {
  it('is nothing that RETRIEVE showed, whoever put it into the context', () => {
    const content =
      '{"memories":[{"memory_id":"mem_1","content":"The move is on 21 June.","metadata":{},"score":0.86}]}'
    const results = [
      message('tool', content, { kind: 'recall', name: 'Retrieve_memory' }),
      message('tool', content, { name: 'retrieve_memory' }),
      message('tool', content, { recalledMemories: [{ memoryId: 'mem_1', version: 1 }] }),
    ]
    expect(quotableTexts(results).map(({ pieces }) => pieces)).toEqual([[], [], []])
    const unnamed = [
      message('assistant', '', { toolCalls: [makeCall('call_1', 'Retrieve_memory')] }),
      message('tool', content, { toolCallId: 'call_1' }),
    ]
    expect(quotableTexts(unnamed).flatMap(({ pieces }) => pieces)).toEqual([])
  })

  it('is nothing that any of the six tools answered, by any name of it', () => {
    const names = toolKeys.flatMap((key) => [key, toolDefinitions[key].name, ...toolDefinitions[key].aliases])
    expect(names.filter((name) => !isOwnTool(name))).toEqual([])
    expect(['find_hotel', 'add_memory_card', ''].filter(isOwnTool)).toEqual([])
  })

  it('is no call: what was asked for is not what came out', () => {
    const call = message('assistant', 'Let me look.', { toolCalls: [makeCall('call_1', 'find_hotel')] })
    expect(quotableTexts([call]).flatMap(({ pieces }) => pieces)).toEqual(['Let me look.'])
  })

  it('is no thought and no call written as text, and an answer without its tags', () => {
    expect(piecesOf('assistant', '<think>Memory says 21 June.</think>\n<answer>It is on 28 June.</answer>')).toEqual([
      'It is on 28 June.',
    ])
    expect(piecesOf('assistant', 'Memory says 21 June.</think>It is on 28 June.')).toEqual(['It is on 28 June.'])
    expect(piecesOf('assistant', '<think>x</think><tool_call>[{"name":"Add_memory"}]</tool_call>')).toEqual([])
    expect(piecesOf('assistant', '<think>never closed')).toEqual([])
    expect(piecesOf('user', 'What does <think> mean?')).toEqual(['What does <think> mean?'])
  })

  it('names the tool of a result by the call that it answers, the latest of that id', () => {
    const call = (name: string) => message('assistant', '', { toolCalls: [makeCall('call_0', name)] })
    const result = message('tool', 'done', { toolCallId: 'call_0' })
    const speakers = quotableTexts([call('build'), result, call('test'), result]).map(({ speaker }) => speaker)
    expect(speakers).toEqual(['assistant', 'tool build', 'assistant', 'tool test'])
  })
})

describe('JSON that a tool answered', () => {
  it('is quoted as fields with words, without ids, scores and brackets', () => {
    const hotels = {
      request_id: '5f0c7e1a-9d1b-4c55-8a53-0d9d5b6a1f11',
      results: [
        {
          hotelId: 'h_8812',
          name: 'Hotel Avenida',
          price_eur: 120,
          freeRooms: true,
          score: 0.91,
          tags: ['sea', 'quiet'],
        },
        { hotelId: 'h_9001', name: 'Casa Azul', note: 'Close to the station. Breakfast costs 12 euros.\nNo lift.' },
      ],
      next_cursor: 'eyJ2IjoxfQ',
    }
    const wanted = [
      'name: Hotel Avenida; price eur: 120; free Rooms: yes; tags: sea, quiet',
      'name: Casa Azul',
      'Close to the station.',
      'Breakfast costs 12 euros.',
      'No lift.',
    ]
    expect(piecesOf('tool', JSON.stringify(hotels))).toEqual(wanted)
    expect(piecesOf('tool', JSON.stringify(hotels, null, 2))).toEqual(wanted)
  })

  it('is found behind words, in a fence and line by line', () => {
    expect(piecesOf('tool', 'Found one: {"name":"Casa Azul","id":7} That is all.')).toEqual([
      'Found one:',
      'name: Casa Azul',
      'That is all.',
    ])
    expect(piecesOf('assistant', 'Here:\n```json\n{"city":"Lisbon"}\n```')).toEqual(['Here:', 'city: Lisbon'])
    expect(piecesOf('tool', '{"city":"Lisbon"}\n{"city":"Porto"}\n')).toEqual(['city: Lisbon', 'city: Porto'])
  })

  it('that breaks off or is written in the way of Python gives its whole fields', () => {
    expect(piecesOf('tool', '{"memory_id":"m1","city":"Lisbon","nights":3,"note":"the sea is')).toEqual([
      'city: Lisbon',
      'nights: 3',
    ])
    expect(piecesOf('tool', "{'city': 'Lisbon', 'ok': True}")).toEqual(['city: Lisbon', 'ok: yes'])
  })

  it('keeps what only looks like JSON as text', () => {
    expect(piecesOf('tool', '[INFO] The build took 3 s.')).toEqual(['[INFO] The build took 3 s.'])
    expect(piecesOf('user', 'As [1] and [2] say, tea helps.')).toEqual(['As [1] and [2] say, tea helps.'])
  })

  it('keeps numbers that people use, such as order numbers', () => {
    expect(jsonPieces({ order: 'HX-20417', order_id: 20417, at: '2026-07-01' })).toEqual([
      'order: HX-20417; at: 2026-07-01',
    ])
  })

  it('of any depth is read without running out of stack', () => {
    const deep = '['.repeat(60_000) + ']'.repeat(60_000)
    expect(piecesOf('tool', deep)).toEqual([])
  })
})
