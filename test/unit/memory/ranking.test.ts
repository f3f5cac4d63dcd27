import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rankMemories } from '../../../src/modules/memory/ranking.ts'
import type { IndexAnswer, IndexHit, SourcePosition } from '../../../src/ports/vector-index.ts'

const hit = (memoryId: string, score: number, source: SourcePosition | null = null): IndexHit => ({
  memoryId,
  score,
  source,
})
const at = (sourceId: string, position: number): SourcePosition => ({ sourceId, position })
const asking = (sourceId: string, position: number): SourcePosition => ({ sourceId, position, asks: true })
const orderOf = (answer: IndexAnswer): string[] => rankMemories('hybrid', answer).map(({ memoryId }) => memoryId)
const scoreOf = (answer: IndexAnswer, memoryId: string): number =>
  rankMemories('hybrid', answer).find((ranked) => ranked.memoryId === memoryId)?.score ?? Number.NaN

/** Any answer an index may give: a memory has one source whichever list names it. */
const answers = (source: fc.Arbitrary<SourcePosition | null>): fc.Arbitrary<IndexAnswer> =>
  fc
    .uniqueArray(
      fc.record({
        memoryId: fc.string({ minLength: 1, maxLength: 4 }),
        source,
        cosine: fc.option(fc.double({ min: -1, max: 1, noNaN: true })),
        keyword: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
      }),
      { selector: ({ memoryId }) => memoryId, maxLength: 30 },
    )
    .map((memories) => ({
      dense: memories.flatMap(({ memoryId, cosine, source }) => (cosine === null ? [] : hit(memoryId, cosine, source))),
      sparse: memories.flatMap(({ memoryId, keyword, source }) =>
        keyword === null ? [] : hit(memoryId, keyword, source),
      ),
    }))

const someSource = fc
  .tuple(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 12 }), fc.boolean())
  .map(([sourceId, position, asks]) => (asks ? asking(sourceId, position) : at(sourceId, position)))
const anyAnswer = answers(fc.option(someSource))

/** The definition, written a second time and as plainly as possible. */
const plainHybrid = ({ dense, sparse }: IndexAnswer, memoryId: string): number => {
  const cosines = dense.map(({ score }) => score)
  const [low, high] = [Math.min(...cosines), Math.max(...cosines)]
  const best = Math.max(0, ...sparse.map(({ score }) => score))
  const cosine = dense.find((one) => one.memoryId === memoryId)?.score
  const words = sparse.find((one) => one.memoryId === memoryId)?.score ?? 0
  const semantic = cosine === undefined ? 0 : high > low ? (cosine - low) / (high - low) : 1
  return ((best > 0 ? words / best : 0) + 0.5 * semantic) / 1.5
}

describe('hybrid ranking', () => {
  it('equals plain hybrid when no memory has a source', () => {
    fc.assert(
      fc.property(answers(fc.constant(null)), (answer) => {
        for (const { memoryId, score } of rankMemories('hybrid', answer)) {
          expect(score).toBeCloseTo(plainHybrid(answer, memoryId), 9)
        }
      }),
    )
  })

  it('orders as plain hybrid when every memory is alone in its source', () => {
    fc.assert(
      fc.property(answers(fc.constant(null)), (answer) => {
        const alone = (hits: readonly IndexHit[]) => hits.map((one) => ({ ...one, source: asking(one.memoryId, 0) }))
        const ranked = rankMemories('hybrid', { dense: alone(answer.dense), sparse: alone(answer.sparse) })
        const plain = ranked.map(({ memoryId }) => plainHybrid(answer, memoryId))
        expect(plain.every((score, index) => score <= (plain[index - 1] ?? 1) + 1e-9)).toBe(true)
      }),
    )
  })

  it('facts that were saved together speak for each other, and none for itself', () => {
    const far = Array.from({ length: 8 }, (_, index) => hit(`far-${index}`, 0.01, at('talk', 20 + index)))
    const scoreOf = (sparse: readonly IndexHit[]) =>
      rankMemories('hybrid', { dense: [], sparse: [...sparse, ...far] }).find(({ memoryId }) => memoryId === 'a')
        ?.score ?? 0
    const alone = scoreOf([hit('a', 0.5, at('talk', 3)), hit('b', 1, at('talk', 12))])
    const together = scoreOf([hit('a', 0.5, at('talk', 3)), hit('b', 1, at('talk', 3))])
    const adjacent = scoreOf([hit('a', 0.5, at('talk', 3)), hit('b', 1, at('talk', 4))])
    expect(together).toBeGreaterThan(alone)
    expect(together).toBeCloseTo(adjacent, 9)
  })

  it('scores a memory without a source the same, whatever the sources of the others', () => {
    fc.assert(
      fc.property(anyAnswer, (answer) => {
        for (const { memoryId } of [...answer.dense, ...answer.sparse].filter(({ source }) => source === null)) {
          expect(scoreOf(answer, memoryId)).toBeCloseTo(plainHybrid(answer, memoryId), 9)
        }
      }),
    )
  })

  it('does not depend on the sequence of the hits', () => {
    const shuffled = anyAnswer.chain((answer) =>
      fc.record({
        answer: fc.constant(answer),
        dense: fc.shuffledSubarray([...answer.dense], { minLength: answer.dense.length }),
        sparse: fc.shuffledSubarray([...answer.sparse], { minLength: answer.sparse.length }),
      }),
    )
    fc.assert(
      fc.property(shuffled, ({ answer, dense, sparse }) => {
        expect(rankMemories('hybrid', { dense, sparse })).toEqual(rankMemories('hybrid', answer))
      }),
    )
  })

  it('names every hit once, best first, with finite scores from 0 to 1', () => {
    fc.assert(
      fc.property(anyAnswer, (answer) => {
        const ranked = rankMemories('hybrid', answer)
        const ids = new Set([...answer.dense, ...answer.sparse].map(({ memoryId }) => memoryId))
        expect(ranked.map(({ memoryId }) => memoryId).sort()).toEqual([...ids].sort())
        expect(ranked.every(({ score }) => score >= 0 && score <= 1)).toBe(true)
        expect(ranked.every(({ score }, index) => score <= (ranked[index - 1]?.score ?? 1))).toBe(true)
      }),
    )
  })

  it('lifts the answer that stands beside the question over an equal memory that stands apart', () => {
    const answer = {
      dense: [],
      sparse: [hit('question', 10, at('chat', 4)), hit('answer', 3, at('chat', 5)), hit('apart', 3, at('other', 0))],
    }
    expect(orderOf(answer)).toEqual(['question', 'answer', 'apart'])
  })

  it('lifts the adjacent piece above one two steps away, and that above one three steps away', () => {
    const answer = {
      dense: [],
      sparse: [
        hit('a-far', 3, at('chat', 13)),
        hit('b-two', 3, at('chat', 8)),
        hit('c-next', 3, at('chat', 11)),
        hit('d-hit', 9, at('chat', 10)),
      ],
    }
    expect(orderOf(answer)).toEqual(['d-hit', 'c-next', 'b-two', 'a-far'])
  })

  it('lifts the piece that follows a matching question above those beside a matching statement', () => {
    const answer = {
      dense: [],
      sparse: [
        hit('a-beside', 3, at('told', 5)),
        hit('b-answer', 3, at('asked', 5)),
        hit('c-told', 9, at('told', 4)),
        hit('d-asked', 9, asking('asked', 4)),
      ],
    }
    expect(orderOf(answer).indexOf('b-answer')).toBeLessThan(orderOf(answer).indexOf('a-beside'))
  })

  it('lets a question speak for what follows it, not for what it follows', () => {
    const answer = {
      dense: [],
      sparse: [hit('a-before', 3, at('chat', 0)), hit('b-after', 3, at('chat', 2)), hit('q', 9, asking('chat', 1))],
    }
    expect(orderOf(answer)).toEqual(['q', 'b-after', 'a-before'])
  })

  it('puts an answer before an equal question, but does not hold a question back that nothing follows', () => {
    const answered = [
      hit('a-asks', 3, asking('chat', 1)),
      hit('b-tells', 3, at('chat', 20)),
      hit('c', 9, at('chat', 40)),
    ]
    expect(orderOf({ dense: [], sparse: answered })).toEqual(['c', 'b-tells', 'a-asks'])
    const open = [hit('a-asks', 9, asking('chat', 1)), hit('b-tells', 9, at('other', 1))]
    expect(scoreOf({ dense: [], sparse: open }, 'a-asks')).toBe(scoreOf({ dense: [], sparse: open }, 'b-tells'))
  })

  it('draws nothing from nearness in a source so short that all pieces are near each other', () => {
    const answer = {
      dense: [],
      sparse: [hit('best', 9, at('page', 0)), hit('far', 3.01, at('page', 4)), hit('next', 3, at('page', 1))],
    }
    expect(orderOf(answer)).toEqual(['best', 'far', 'next'])
  })

  it('prefers the piece whose source holds the stronger hit', () => {
    const answer = {
      dense: [],
      sparse: [hit('best', 9, at('b', 0)), hit('in-a', 3, at('a', 50)), hit('in-b', 3, at('b', 50))],
    }
    expect(orderOf(answer)).toEqual(['best', 'in-b', 'in-a'])
  })

  it('lets a memory found by a single word only, or by meaning only, come up', () => {
    const dense = [hit('meaning', 0.8), hit('other', 0.3), hit('last', 0.1)]
    expect(orderOf({ dense, sparse: [hit('word', 2)] })).toEqual(['word', 'meaning', 'other', 'last'])
  })

  it('orders equal scores by id', () => {
    expect(orderOf({ dense: [hit('b', 0.2), hit('a', 0.2)], sparse: [] })).toEqual(['a', 'b'])
  })

  it('answers no hits with no memories, and ignores a score that is no number', () => {
    expect(orderOf({ dense: [], sparse: [] })).toEqual([])
    expect(orderOf({ dense: [hit('a', Number.NaN), hit('b', 0.1)], sparse: [] })).toEqual(['b'])
  })

  it('shows the cosine and the keyword score each memory was found by, and only those', () => {
    const ranked = rankMemories('hybrid', { dense: [hit('a', 0.5), hit('b', 0.4)], sparse: [hit('a', 7)] })
    expect(ranked.map(({ scores }) => scores)).toEqual([{ semantic: 0.5, keyword: 7 }, { semantic: 0.4 }])
  })
})

describe('single-kind ranking', () => {
  it('is the pure cosine in semantic mode, whatever the words and sources say', () => {
    const answer = { dense: [hit('a', 0.2, at('s', 0)), hit('b', 0.6)], sparse: [hit('a', 9, at('s', 0)), hit('c', 9)] }
    expect(rankMemories('semantic', answer)).toEqual([
      { memoryId: 'b', score: 0.6, scores: { semantic: 0.6 } },
      { memoryId: 'a', score: 0.2, scores: { semantic: 0.2 } },
    ])
  })

  it('is the words alone in keyword mode', () => {
    const answer = { dense: [hit('b', 0.9)], sparse: [hit('a', 4), hit('c', 5)] }
    expect(rankMemories('keyword', answer).map(({ memoryId, score }) => [memoryId, score])).toEqual([
      ['c', 5],
      ['a', 4],
    ])
  })
})
