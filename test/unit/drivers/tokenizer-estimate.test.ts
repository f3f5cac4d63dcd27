import { describe, expect, it } from 'vitest'
import { createEstimatingTokenizer } from '../../../src/drivers/tokenizer/estimating-tokenizer.ts'
import { describeTokenizerContract } from '../../contract/tokenizer.suite.ts'

describeTokenizerContract('the estimate', async () => createEstimatingTokenizer())

describe('the estimate', () => {
  /** Counts by the Qwen2.5 tokenizer. */
  const counted: readonly (readonly [string, number])[] = [
    ['The support group has made me feel accepted and given me courage to embrace myself.', 16],
    ['export const sumTokens = (messages) => messages.reduce((sum, message) => sum + message.tokens, 0)', 25],
    ['{"memory_id":"mem_42","content":"likes tea","score":0.81}', 21],
    ['用户喜欢在早上喝咖啡，晚上喝茶，周末去爬山。', 15],
  ]

  it.each(counted)('is within a fifth of the real count for %s', (text, tokens) => {
    const estimate = createEstimatingTokenizer().countText(text)
    expect(estimate).toBeGreaterThan(tokens * 0.8)
    expect(estimate).toBeLessThan(tokens * 1.2)
  })

  it('is labelled as an estimate', () => {
    expect(createEstimatingTokenizer().source).toBe('estimate')
  })

  it('4 MB are counted as the sum of their lines, about', () => {
    const line = 'The quick brown fox, 42 of them; 用户喜欢咖啡。\n'
    const { countText } = createEstimatingTokenizer()
    const perLine = countText(line.repeat(110_000)) / 110_000
    expect(perLine).toBeGreaterThan(countText(line) * 0.8)
    expect(perLine).toBeLessThan(countText(line) * 1.2)
  })
})
