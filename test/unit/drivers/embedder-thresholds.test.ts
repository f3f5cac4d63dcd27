import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { statementAnchors, topicAnchors } from '../../../src/drivers/embedder/anchors.ts'
import { measureAnchors, thresholdsFromAnchors } from '../../../src/drivers/embedder/thresholds.ts'

describe('thresholds from anchors', () => {
  it('follow the model: cosines that lie higher and closer give thresholds that do', () => {
    const wide = { onTopic: [0.3, 0.4], offTopic: [0, 0.1], restated: [0.8, 0.9], neighbouring: [0.4, 0.6] }
    const narrow = { onTopic: [0.8, 0.82], offTopic: [0.74, 0.76], restated: [0.96, 0.98], neighbouring: [0.84, 0.86] }
    expect(thresholdsFromAnchors(wide)).toEqual({ filter: 0.35, duplicate: 0.763 })
    expect(thresholdsFromAnchors(narrow)).toEqual({ filter: 0.81, duplicate: 0.94 })
  })

  it('FILTER never begins among the pairs off topic', () => {
    const confused = { onTopic: [0.1, 0.2], offTopic: [0.5, 0.6, 0.7], restated: [0.9], neighbouring: [0.5] }
    expect(thresholdsFromAnchors(confused).filter).toBe(0.7)
  })

  it('are cosines whatever the anchors gave', () => {
    const cosines = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 })
    const similarities = fc.record({ onTopic: cosines, offTopic: cosines, restated: cosines, neighbouring: cosines })
    fc.assert(
      fc.property(similarities, (anchors) => {
        for (const threshold of Object.values(thresholdsFromAnchors(anchors))) {
          expect(threshold).toBeGreaterThanOrEqual(0)
          expect(threshold).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  it('anchors are compared as the service compares: criteria as queries, the rest as passages', async () => {
    const asked: [string, number][] = []
    const similarities = await measureAnchors(async (texts, purpose) => {
      asked.push([purpose, texts.length])
      return texts.map((_, index) => Float32Array.of(index % 2, 1 - (index % 2)))
    })
    const topics = topicAnchors.length
    expect(asked).toEqual([
      ['query', topics],
      ['passage', topics + 3 * statementAnchors.length],
    ])
    expect(similarities.onTopic).toEqual(Array(topics).fill(1))
    expect(similarities.offTopic).toHaveLength(topics * (topics - 1))
    expect(similarities.restated).toHaveLength(statementAnchors.length)
    expect(similarities.neighbouring).toHaveLength(statementAnchors.length)
  })
})
