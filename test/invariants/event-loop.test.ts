/**
 * A3: no text within the limits stops the event loop for more than 100 ms. Work that nobody can interrupt is held to the
 * bound itself; work that is done in slices, to half of it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { createEstimatingTokenizer } from '../../src/drivers/tokenizer/estimating-tokenizer.ts'
import { newMessageSteps } from '../../src/modules/chat/new-messages.ts'
import { droppedSteps } from '../../src/modules/context/facts-of.ts'
import { criteriaParts } from '../../src/modules/context/filter-criteria.ts'
import { quotableSteps, type SummarizableMessage } from '../../src/modules/context/quotable-text.ts'
import { memoriesShownBy } from '../../src/modules/context/shown-memories.ts'
import { extractSteps } from '../../src/modules/context/summarize-extractively.ts'
import { sparseVectorOf } from '../../src/modules/indexing/lexical.ts'
import { contentHashOf } from '../../src/modules/memory/content-hash.ts'
import { openAiCallSteps } from '../../src/modules/tool/parse-openai-calls.ts'
import { outputSteps } from '../../src/modules/tool/parse-output.ts'
import { parseModelArguments } from '../../src/modules/tool/tool-arguments.ts'
import { isBlank } from '../../src/shared/blank-text.ts'
import { inSlices, type Steps } from '../../src/shared/yielding.ts'
import { type AdversarialText, adversarialTexts } from '../support/adversarial-texts.ts'
import { expectStatus, useApp } from '../support/http.ts'
import { expectShortStops } from '../support/short-stops.ts'

const contentCharacters = 32_768
const messageCharacters = 131_072
const outputCharacters = 1_048_576

const { countText } = createEstimatingTokenizer()

const messageOf = (content: string, role: SummarizableMessage['role']): SummarizableMessage => ({
  ...{ role, content, contextPosition: 0, name: null, kind: 'appended' },
  ...{ toolCalls: null, toolCallId: null, recalledMemories: [] },
})

const readers: readonly (readonly [name: string, characters: number, read: (text: string) => unknown])[] = [
  ['the terms of a memory', contentCharacters, sparseVectorOf],
  ['the hash of a content', contentCharacters, contentHashOf],
  ['the parts of criteria', contentCharacters, criteriaParts],
  ['whether a content is blank', contentCharacters, isBlank],
  ['the arguments of a tool', contentCharacters, (text) => parseModelArguments('summary_context', { span: text })],
  ['the tokens of a message', messageCharacters, countText],
  ['the memories that a message shows', messageCharacters, memoriesShownBy],
]

function* summarySteps(content: string, role: SummarizableMessage['role']): Steps<void> {
  const quotables = yield* quotableSteps([messageOf(content, role)])
  const summary = yield* extractSteps(quotables, { tokensMax: 8_000, countText })
  const pieces = quotables.flatMap((quotable) => quotable.pieces)
  yield* droppedSteps(pieces, { summary, max: 50 })
}

/** The kinds that took longest of all when they were measured, to hold the sliced work to at full length. */
const hardest = (...kinds: readonly string[]): readonly AdversarialText[] =>
  kinds.map((kind) => {
    const found = adversarialTexts.find((text) => text.kind === kind)
    if (found === undefined) throw new Error(`There is no text of the kind ${kind}.`)
    return found
  })

const hardToSummarise = hardest(
  ...['ellipses', 'Chinese with stops', 'items of lists', 'sentences of one word each', 'names in pairs'],
  ...['numbers, all different', 'full stops and blanks', 'JSON of many keys', 'JSON lines of a bad kind', 'JSON lines'],
)

const hardToParse = hardest(
  ...['calls of broken JSON', 'calls with JSON', 'calls opened', 'thoughts opened and closed', 'JSON without its end'],
  ...['JSON of one long array', 'JSON of many keys', 'escaped quotes', 'answers opened, then closed'],
)

describe('A3: no text within the limits stops the event loop', () => {
  beforeAll(() => {
    for (const { make } of adversarialTexts) for (const [, , read] of readers) read(make(500))
  })

  it.each(readers)('%s', async (_name, characters, read) => {
    for (const { make } of adversarialTexts) {
      const text = make(characters)
      await expectShortStops(() => read(text))
    }
  })

  it.each(hardToSummarise)('a summary of $kind', async ({ make }) => {
    const text = make(messageCharacters)
    await expectShortStops(() => inSlices(summarySteps(text, 'user')))
    await expectShortStops(() => inSlices(summarySteps(text, 'tool')))
  })

  it.each(hardToParse)('the output of a model: $kind', async ({ make }) => {
    const text = make(outputCharacters)
    await expectShortStops(() => inSlices(outputSteps(text)))
    await expectShortStops(() => inSlices(outputSteps(`<tool_call>${text}`)))
    const call = { id: 'a', type: 'function', function: { name: 'Add_memory', arguments: text.slice(0, 524_288) } }
    await expectShortStops(() => inSlices(openAiCallSteps([call, { ...call, id: 'b' }])))
  })

  it('a history of 2,000 messages that are all alike', async () => {
    const sent = Array.from({ length: 2_000 }, () => ({ role: 'user' as const, content: 'a' }))
    const known = sent.map((message) => ({ ...message, toolCalls: null, toolCallId: null }))
    await expectShortStops(() => inSlices(newMessageSteps(known.slice(1), [...sent, { role: 'user', content: 'b' }])))
  })
})

describe('A3: no request within the limits stops the event loop', () => {
  const { http } = useApp()

  it('a context of long messages and its summary', async () => {
    expectStatus(
      await http.post('/v1/sessions', { agent_id: 'a', session_id: 'summary', budget_tokens: 9_000_000 }),
      201,
    )
    const messages = hardToSummarise.map((text) => ({ role: 'user', content: text.make(40_000) }))
    await expectShortStops(async () => {
      expectStatus(await http.post('/v1/sessions/summary/messages', { messages }), 201)
    })
    await expectShortStops(async () => {
      expectStatus(await http.post('/v1/sessions/summary/tools/summary_context', { span: 'all' }), 200)
    })
  })

  it.each([
    ['empty objects', `[${'{},'.repeat(1_390_000)}1]`],
    ['ever new names', `{${Array.from({ length: 300_000 }, (_, index) => `"k${index}":1`).join(',')}}`],
    ['numbers', `[${'1,'.repeat(2_000_000)}1]`],
    ['open brackets', '['.repeat(4_000_000)],
  ])('a body of four megabytes of %s, which is refused before it is parsed', async (_name, values) => {
    const body = `{"memories":[{"content":"a","metadata":{"a":${values}}}]}`
    await expectShortStops(async () => {
      const answer = await http.post('/v1/agents/a/memories/batch', body, { 'content-type': 'application/json' })
      expect([answer.statusCode, answer.data.code]).toEqual([413, 'request.too_large'])
    })
  })
})
