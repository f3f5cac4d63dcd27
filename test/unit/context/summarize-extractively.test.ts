import { describe, expect, it } from 'vitest'
import { factsDropped, factsOf } from '../../../src/modules/context/facts-of.ts'
import type { SummarizableMessage } from '../../../src/modules/context/quotable-text.ts'
import { splitSentences } from '../../../src/modules/context/sentences.ts'
import { summarizeExtractively } from '../../../src/modules/context/summarize-extractively.ts'
import { countText, makeCall } from '../../support/context-model.ts'

const message = (role: SummarizableMessage['role'], content: string, contextPosition: number): SummarizableMessage => ({
  role,
  content,
  contextPosition,
  name: null,
  kind: 'appended',
  toolCalls: null,
  toolCallId: null,
  recalledMemories: [],
})

const talk = [
  message('user', 'Hi there! How are you?', 3),
  message('assistant', 'Great, thanks! What can I do for you today?', 4),
  message('user', 'I need to move our offsite. Dr. Okafor is allergic to peanuts, so the caterer must know.', 5),
  message('assistant', 'Sure. I will tell the caterer about the peanut allergy of Dr. Okafor. Anything else?', 6),
  message('user', 'We decided on Lisbon, from 14 May 2026, with a budget of €12,500 for 18 people.', 7),
  message('assistant', 'Lovely! Wonderful! That sounds really nice.', 8),
  message('user', 'We decided on Lisbon, from 14 May 2026, with a budget of €12,500 for 18 people.', 9),
]
const summarize = (messages: readonly SummarizableMessage[], tokensMax = 80) =>
  summarizeExtractively({ messages, tokensMax, countText })

describe('the extractive summary', () => {
  it('keeps decisions, numbers and names, drops courtesies and repetition, and says who spoke', () => {
    const summary = summarize(talk)
    expect(summary.split('\n')[0]).toBe('Summary of 7 messages (#3-#9)')
    expect(summary).toContain('- user: We decided on Lisbon, from 14 May 2026, with a budget of €12,500 for 18 people.')
    expect(summary).toContain('Dr. Okafor')
    expect(summary.match(/Lisbon/g)).toHaveLength(1)
    expect(summary).not.toContain('Lovely')
  })

  it('keeps the order of the conversation', () => {
    const summary = summarize(talk, 200)
    const places = ['offsite', 'caterer must', 'Lisbon'].map((word) => summary.indexOf(word))
    expect(places).toEqual(places.toSorted((one, other) => one - other))
    expect(places.every((place) => place > 0)).toBe(true)
  })

  it.each([0, 5, 12, 20, 40, 80, 400])('never takes more than %i tokens', (tokensMax) => {
    expect(countText(summarize(talk, tokensMax))).toBeLessThanOrEqual(tokensMax)
  })

  it('is empty when nothing fits, and for no messages', () => {
    expect(summarize(talk, 5)).toBe('')
    expect(summarize([])).toBe('')
  })

  it('cuts the best sentence short where none fits whole, so that what has no full stop is summarised too', () => {
    const endless = `The caterer of Lisbon wants ${'a deposit and another signature and '.repeat(8)}then some`
    const summary = summarize([message('user', endless, 0), message('user', endless.slice(4), 1)], 40)
    expect(summary).toMatch(/^Summary of 2 messages \(#0-#1\)\n- user: .*caterer.*…$/)
    expect(countText(summary)).toBeLessThanOrEqual(40)
  })

  it('is the same every time', () => {
    expect(summarize(talk)).toBe(summarize(talk))
  })

  it('in prose lets the sentences of one speaker run on', () => {
    const summary = summarizeExtractively({ messages: talk, tokensMax: 200, countText, style: 'prose' })
    expect(summary).toMatch(/^user: .*offsite\. Dr\. Okafor/m)
  })

  it('carries an earlier summary on without its heading and bullets', () => {
    const earlier = { ...message('user', summarize(talk), 3), kind: 'summary' as const }
    const summary = summarize([earlier, message('user', 'The hotel must have 9 double rooms and a garden.', 10)], 200)
    expect(summary.match(/Summary of/g)).toHaveLength(1)
    expect(summary).toContain('\n- user: We decided on Lisbon')
    expect(summary).toContain('- user: The hotel must have 9 double rooms')
  })

  describe('over a span with tool calls', () => {
    const stale = "Nora's move to Hamburg is on Saturday 21 June."
    const memories = { memories: [{ memory_id: 'mem_0198f2', content: stale, metadata: {}, score: 0.8612 }] }
    const hotels = { results: [{ hotel_id: 'h_8812', name: 'Hotel Avenida', price_eur: 120, score: 0.93 }], page: 1 }
    const callOf = (id: string, name: string, at: number) => ({
      ...message('assistant', '', at),
      toolCalls: [makeCall(id, name)],
    })
    const resultOf = (id: string, value: object, at: number) => ({
      ...message('tool', JSON.stringify(value), at),
      toolCallId: id,
    })
    const recalled = [
      { ...callOf('call_1', 'Retrieve_memory', 3), kind: 'recall' as const },
      {
        ...resultOf('call_1', memories, 4),
        kind: 'recall' as const,
        recalledMemories: [{ memoryId: 'mem_0198f2', version: 1 }],
      },
    ]
    const span = [
      message('user', 'The landlord gives us the keys a week later. What date did we have for the move?', 2),
      ...recalled,
      message('user', 'The move is now on Saturday 28 June, and I need a hotel in Hamburg for two nights.', 5),
      callOf('call_2', 'find_hotel', 6),
      resultOf('call_2', hotels, 7),
      callOf('call_3', 'Update_memory', 8),
      resultOf('call_3', { memory_id: 'mem_0198f2', version: 2 }, 9),
      message('assistant', 'I changed the date to 28 June and found the Hotel Avenida for 120 euros a night.', 10),
    ]

    it('a fact that RETRIEVE showed does not outlive its change', () => {
      const summary = summarize(span, 400)
      expect(summary).not.toContain('21 June')
      expect(summary).toContain('28 June')
      expect(summary.split('\n').at(-1)).toBe('- memory: 1 memory was shown; retrieve again what matters.')
    })

    it('what other tools answered is quoted as text, and no id or bracket is', () => {
      const summary = summarize(span, 400)
      expect(summary).toContain('- tool find_hotel: name: Hotel Avenida; price eur: 120')
      expect(summary).not.toMatch(/[{}"]|mem_|h_8812|0\.\d\d/)
    })

    it('the note on memories gives way to what was said when there is little room', () => {
      const summary = summarize(span, 44)
      expect(summary).not.toContain('memory was shown')
      expect(summary).toContain('June')
    })

    it('with nothing to quote names what it replaced, shorter where there is less room', () => {
      const calls = [...recalled, callOf('call_2', 'find_hotel', 6)]
      expect(summarize(calls)).toBe(
        'Summary of 3 messages (#3-#6)\n- nothing to quote: 2 calls of Retrieve_memory, find_hotel.\n- memory: 1 memory was shown; retrieve again what matters.',
      )
      expect(summarize(calls, 32)).toBe(
        'Summary of 3 messages (#3-#6)\n- nothing to quote: 2 calls of Retrieve_memory, find_hotel.',
      )
      expect(summarize(recalled, 32)).toBe(
        'Summary of 2 messages (#3-#4)\n- memory: 1 memory was shown; retrieve again what matters.',
      )
      expect(summarize([message('user', '   ', 0)])).toBe('Summary of 1 message (#0)\n- nothing to quote.')
      expect(summarize(calls, 5)).toBe('')
    })

    it('an earlier note on memories is not quoted', () => {
      const earlier = { ...message('user', summarize(span, 400), 2), kind: 'summary' as const }
      expect(summarize([earlier, message('assistant', 'The hotel is booked for two nights.', 11)], 300)).not.toContain(
        'retrieve again',
      )
    })
  })

  it('500 messages are summarised within the bound', () => {
    const many = Array.from({ length: 500 }, (_, index) =>
      message(
        'user',
        `Point ${index}: the order of customer ${index * 7} was late. We will call on day ${index % 31}.`,
        index,
      ),
    )
    const summary = summarize(many, 600)
    expect(summary).not.toBe('')
    expect(countText(summary)).toBeLessThanOrEqual(600)
  })

  it.each(['.', '"', 'a', '```', '- ', '\n', '。', '{', '[[', '[{', '{"a":"', '"a":1 ', '<think>', '{ '])(
    '128 KiB of %j come to an end',
    (text) => {
      for (const role of ['tool', 'assistant'] as const)
        expect(summarize([message(role, text.repeat(131_072 / text.length), 0)])).toEqual(expect.any(String))
    },
  )
})

describe('sentences', () => {
  it('end at full stops, but not after abbreviations, initials and decimals', () => {
    expect(splitSentences('Dr. J. Smith paid 3.50 euros, e.g. for tea. He left! Why?')).toEqual([
      'Dr. J. Smith paid 3.50 euros, e.g. for tea.',
      'He left!',
      'Why?',
    ])
    expect(splitSentences('我喜欢茶。你呢？好！')).toEqual(['我喜欢茶。', '你呢？', '好！'])
  })

  it('list items stand alone, wrapped lines do not', () => {
    expect(splitSentences('Buy these\nthings:\n- milk\n- eggs\n\n1. first')).toEqual([
      'Buy these things:',
      '- milk',
      '- eggs',
      '1. first',
    ])
  })

  it('short code is kept whole, long code is dropped', () => {
    expect(splitSentences('Run\n```\nnpm test. Now\n```')).toEqual(['Run', '```\nnpm test. Now\n```'])
    expect(splitSentences(`Run\n\`\`\`\n${'x = 1\n'.repeat(100)}\`\`\``)).toEqual(['Run'])
  })

  it('are cut to a bounded length, never inside a surrogate pair', () => {
    const [first = ''] = splitSentences('x🎉'.repeat(500))
    expect(first.length).toBeLessThanOrEqual(321)
    expect(first).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/)
  })
})

describe('facts', () => {
  it('are numbers, names, addresses and identifiers', () => {
    const facts = factsOf('Please tell Ada Lovelace at ada@example.org that order_17 costs $40.50 on 3 May, says NASA.')
    expect([...facts]).toEqual(['Ada', 'Lovelace', 'ada@example.org', 'order_17', '$40.50', '3', 'May', 'NASA'])
  })

  it('that a summary lost are named', () => {
    expect(factsDropped(['We meet Ada on 3 May.', 'It costs 40 euros.'], 'We meet Ada.')).toEqual(['3', 'May', '40'])
  })
})
