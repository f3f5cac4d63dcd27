/** What every tokenizer driver promises; each driver's test runs it on its own. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tokenizer } from '../../src/ports/tokenizer.ts'

const samples = {
  dialogue: 'I moved to Lisbon in 2019. Do you remember the name of the street?',
  code: 'const total = items.reduce((sum, item) => sum + item.price, 0)\n',
  json: '{"memory_id":"mem_1","score":0.8312,"metadata":{"type":"fact"}}',
  chinese: '用户喜欢在早上喝咖啡，晚上喝茶。',
  emoji: 'done 🎉👍🏽',
  blank: ' \n\t ',
  odd: '\u0000 \ud83d <|end|> \udc00',
}

export const describeTokenizerContract = (name: string, create: () => Promise<Tokenizer>): void => {
  describe(`${name} keeps the tokenizer contract`, () => {
    it('an empty text has no tokens', async () => {
      expect((await create()).countText('')).toBe(0)
    })

    it.each(Object.entries(samples))(
      '%s text has a whole number of tokens, no more than its bytes',
      async (_, text) => {
        const count = (await create()).countText(text)
        expect(Number.isInteger(count)).toBe(true)
        expect(count).toBeGreaterThan(0)
        expect(count).toBeLessThanOrEqual(Math.max(1, Buffer.byteLength(text)))
      },
    )

    it('the same text always has the same count, by any instance', async () => {
      const [one, other] = [await create(), await create()]
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
          const count = one.countText(text)
          expect(one.countText(text)).toBe(count)
          expect(other.countText(text)).toBe(count)
        }),
        { numRuns: 50 },
      )
    })

    it('a text repeated a hundred times has about a hundred times the tokens', async () => {
      const tokenizer = await create()
      const once = tokenizer.countText(samples.dialogue)
      const often = tokenizer.countText(`${samples.dialogue} `.repeat(100))
      expect(often).toBeGreaterThan(once * 90)
      expect(often).toBeLessThan(once * 110)
    })

    it('a message costs more than its content, and its name and tool calls cost too', async () => {
      const { countText, countMessage } = await create()
      const toolCalls = [{ id: 'c1', type: 'function', function: { name: 'look_up', arguments: '{"city":"Lisbon"}' } }]
      const plain = countMessage({ role: 'user', content: samples.dialogue })
      expect(plain).toBeGreaterThan(countText(samples.dialogue))
      expect(countMessage({ role: 'user', content: samples.dialogue, name: 'ada' })).toBeGreaterThan(plain)
      expect(countMessage({ role: 'user', content: '', name: null, toolCalls: null })).toBeGreaterThanOrEqual(1)
      expect(countMessage({ role: 'assistant', content: samples.dialogue, toolCalls })).toBeGreaterThan(
        plain + countText('{"city":"Lisbon"}'),
      )
    })

    it.each(['a', ' ', '.', '的', 'ab1 '])('128 KiB of "%s" is counted', async (text) => {
      const tokenizer = await create()
      expect(tokenizer.countText(text.repeat(131_072 / text.length))).toBeGreaterThan(0)
    })

    it('what was prepared, and what is forgotten, counts as ever', async () => {
      const tokenizer = await create()
      const before = tokenizer.countText(samples.dialogue)
      for (const _ of tokenizer.prepare([samples.dialogue])) expect(tokenizer.countText(samples.dialogue)).toBe(before)
      tokenizer.forget()
      expect(tokenizer.countText(samples.dialogue)).toBe(before)
    })

    it('says whether it counts or estimates', async () => {
      const { source, name: tokenizerName } = await create()
      expect(['tokenizer', 'estimate']).toContain(source)
      expect(tokenizerName).not.toBe('')
    })
  })
}
