import { describe, expect, it } from 'vitest'
import { factsDropped, factsOf } from '../../../src/modules/context/facts-of.ts'
import { splitSentences } from '../../../src/modules/context/sentences.ts'
import { summarizeExtractively } from '../../../src/modules/context/summarize-extractively.ts'
import type { SummarizableMessage } from '../../../src/modules/context/weigh-sentences.ts'
import { countText, makeCall } from '../../support/context-model.ts'

const message = (role: SummarizableMessage['role'], content: string, contextPosition: number): SummarizableMessage => ({
  role,
  content,
  contextPosition,
  name: null,
  kind: 'appended',
  toolCalls: null,
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

  it('is empty when nothing fits, and for messages that say nothing', () => {
    expect(summarize(talk, 5)).toBe('')
    expect(summarize([message('user', '   ', 0)])).toBe('')
    expect(summarize([])).toBe('')
  })

  it('is the same every time', () => {
    expect(summarize(talk)).toBe(summarize(talk))
  })

  it('in prose lets the sentences of one speaker run on', () => {
    const summary = summarizeExtractively({ messages: talk, tokensMax: 200, countText, style: 'prose' })
    expect(summary).toMatch(/^user: .*offsite\. Dr\. Okafor/m)
  })

  it('tells what was called', () => {
    const call = { ...message('assistant', '', 0), toolCalls: [makeCall('call_0', 'find_hotel')] }
    expect(summarize([call])).toContain('assistant: called find_hotel {"city":"Lisbon"}')
  })

  it('carries an earlier summary on without its heading and bullets', () => {
    const earlier = { ...message('user', summarize(talk), 3), kind: 'summary' as const }
    const summary = summarize([earlier, message('user', 'The hotel must have 9 double rooms and a garden.', 10)], 200)
    expect(summary.match(/Summary of/g)).toHaveLength(1)
    expect(summary).toContain('\n- user: We decided on Lisbon')
    expect(summary).toContain('- user: The hotel must have 9 double rooms')
  })

  it('500 messages take a moment', () => {
    const many = Array.from({ length: 500 }, (_, index) =>
      message(
        'user',
        `Point ${index}: the order of customer ${index * 7} was late. We will call on day ${index % 31}.`,
        index,
      ),
    )
    summarize(many, 600)
    const startedMs = performance.now()
    expect(summarize(many, 600)).not.toBe('')
    expect(performance.now() - startedMs).toBeLessThan(250)
  })

  it.each(['.', '"', 'a', '```', '- ', '\n', '。', '{', '[['])('128 KiB of %j take a moment', (text) => {
    const startedMs = performance.now()
    summarize([message('tool', text.repeat(131_072 / text.length), 0)])
    expect(performance.now() - startedMs).toBeLessThan(1_000)
  })
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

  it('short code is kept whole, long code is dropped, JSON is cut by entry', () => {
    expect(splitSentences('Run\n```\nnpm test. Now\n```')).toEqual(['Run', '```\nnpm test. Now\n```'])
    expect(splitSentences(`Run\n\`\`\`\n${'x = 1\n'.repeat(100)}\`\`\``)).toEqual(['Run'])
    expect(splitSentences('{"city":"Lisbon","nights":3}')).toEqual(['city: "Lisbon"', 'nights: 3'])
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
