import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  analyzedCharactersMax,
  analyzeText,
  lexicalTextOf,
  queryVectorOf,
  sparseVectorOf,
  termIdsOf,
} from '../../../src/modules/indexing/lexical.ts'
import { termIdOf } from '../../../src/modules/indexing/term-id.ts'
import type { SparseVector } from '../../../src/ports/vector-index.ts'

const statistics = (documentCount: number, frequencies: Readonly<Record<string, number>> = {}) => {
  const byId = new Map(Object.entries(frequencies).map(([term, frequency]) => [termIdOf(term), frequency]))
  return { documentCount, documentFrequencyOf: (termId: number) => byId.get(termId) ?? 0 }
}

const weightOf = (vector: SparseVector, term: string): number =>
  vector.values[vector.indices.indexOf(termIdOf(term))] ?? 0

const expectWellFormed = ({ indices, values }: SparseVector): void => {
  expect(values).toHaveLength(indices.length)
  expect(
    indices.every((id, at) => Number.isInteger(id) && id >= 0 && id < 2 ** 32 && id > (indices[at - 1] ?? -1)),
  ).toBe(true)
  expect(values.every((value) => value > 0 && Number.isFinite(value) && Math.fround(value) === value)).toBe(true)
}

const anyText = fc.string({ unit: 'binary', maxLength: 300 })

describe('analyzeText', () => {
  it('brings inflected and irregular English forms to one term', () => {
    expect(analyzeText('buying')).toEqual(analyzeText('bought'))
    expect(analyzeText('child')).toEqual(analyzeText("children's"))
    expect(analyzeText('paintings')).toEqual(analyzeText('paint'))
  })

  it.each([
    ['Straße', 'STRASSE'],
    ['größer', 'GRÖSSER'],
    ['Θάλασσα', 'θαλασσα'],
    ['ΟΔΟΣ', 'οδός'],
  ])('brings the spellings %s and %s to one term', (one, other) => {
    expect(analyzeText(one)).toEqual(analyzeText(other))
  })

  it('leaves out stop words, contractions and possessives', () => {
    expect(analyzeText("What didn't Caroline's sister like? I’m sure they’ve told her.")).toEqual(
      analyzeText('Caroline sister like sure told'),
    )
  })

  it('keeps the words of a text that has only stop words, so that it can still be found', () => {
    expect(analyzeText('Who am I?')).toEqual(['who', 'am', 'i'])
  })

  it('folds case, width, ligatures and Latin accents', () => {
    expect(analyzeText('CAFÉ Ａ１ ﬁne')).toEqual(analyzeText('cafe a1 fine'))
    expect(analyzeText('cafe\u0301')).toEqual(analyzeText('caf\u00e9'))
  })

  it('reads Cyrillic words, and takes ё for е but not й for и', () => {
    expect(analyzeText('Мёд и МОЙ')).toEqual(['мед', 'и', 'мой'])
  })

  it('splits a run without spaces into characters and neighbouring pairs, apart from the Latin beside it', () => {
    expect(analyzeText('東京都ABC')).toEqual(['東', '東京', '京', '京都', '都', 'abc'])
    expect(analyzeText('𠮷野')).toEqual(['𠮷', '𠮷野', '野'])
  })

  it('keeps numbers, and reads a grouped number as one', () => {
    expect(analyzeText('paid 3,000 in 2023')).toEqual(['pai', '3000', '2023'])
    expect(analyzeText('1,2 and 3')).toEqual(['1', '2', '3'])
  })

  it('gives a text with a letter or digit at least one term, and never an empty one', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const terms = analyzeText(text)
        expect(terms.every((term) => term.length > 0 && term.length <= 64)).toBe(true)
        if (/[a-z0-9]/i.test(text)) expect(terms.length).toBeGreaterThan(0)
      }),
    )
  })

  it('answers empty and wordless texts with no term', () => {
    expect(analyzeText('')).toEqual([])
    expect(analyzeText(' —!?\u0000 \ud800')).toEqual([])
  })

  it.each([
    ['one endless word', 'a'],
    ['stacked accents', 'e\u0301'],
    ['characters that expand eighteenfold', '\ufdfa'],
    ['apostrophes', "n't's"],
    ['digit groups', '1,000'],
    ['unspaced script', '漢'],
  ])('does bounded work on %s', (_name, unit) => {
    const longest = unit.repeat(Math.ceil(analyzedCharactersMax / unit.length)).slice(0, analyzedCharactersMax)
    const terms = analyzeText(longest)
    expect(terms.length).toBeLessThanOrEqual(2 * analyzedCharactersMax)
    expect(analyzeText(longest + 'unread '.repeat(1_000))).toEqual(terms)
  })
})

describe('termIdOf', () => {
  it('is FNV-1a with 32 bits over UTF-8', () => {
    expect(termIdOf('')).toBe(0x811c9dc5)
    expect(termIdOf('a')).toBe(0xe40c292c)
    expect(termIdOf('foobar')).toBe(0xbf9cf968)
  })

  it('hashes the bytes of UTF-8, with U+FFFD for half of a surrogate pair', () => {
    const hashOf = (text: string) =>
      new TextEncoder().encode(text).reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) >>> 0
    const units = fc.array(fc.integer({ max: 0xffff, min: 0 }).map((unit) => String.fromCharCode(unit)))
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      units.map((each) => each.join('')),
    )
    fc.assert(
      fc.property(text, (term) => {
        expect(termIdOf(term)).toBe(hashOf(term))
      }),
    )
  })
})

describe('termIdsOf', () => {
  it('names once each of the terms that a memory with these words has', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const ids = termIdsOf(text).sort((left, right) => left - right)
        expect(sparseVectorOf(text).indices).toEqual(ids)
      }),
    )
  })
})

describe('lexicalTextOf', () => {
  it('adds the day in words, in UTC', () => {
    const text = lexicalTextOf({ content: 'We met.', occurredAt: '2023-05-08T23:56:00Z' })
    expect(analyzeText(text)).toEqual([...analyzeText('8 May 2023'), ...analyzeText('We met.')])
  })

  it('names the day of the clock that the moment was read from', () => {
    const text = (occurredAt: string, occurredOffsetMinutes: number | null) =>
      lexicalTextOf({ content: 'Dinner.', occurredAt, occurredOffsetMinutes })
    expect(text('2024-03-14T15:30:00.000Z', 540)).toBe('15 March 2024\nDinner.')
    expect(text('2024-01-01T03:00:00.000Z', -300)).toBe('31 December 2023\nDinner.')
    expect(text('2024-03-14T15:30:00.000Z', null)).toBe('14 March 2024\nDinner.')
    expect(text('0024-05-01T12:00:00.000Z', 0)).toBe('1 May 24\nDinner.')
  })

  it('is the content alone when there is no date', () => {
    expect(lexicalTextOf({ content: 'We met.', occurredAt: null })).toBe('We met.')
    expect(lexicalTextOf({ content: 'We met.', occurredAt: 'someday' })).toBe('We met.')
  })
})

describe('sparseVectorOf', () => {
  it('has ascending unique unsigned ids and positive 32-bit float values for any text', () => {
    fc.assert(fc.property(anyText, (text) => expectWellFormed(sparseVectorOf(text))))
  })

  it('grows with a repeated term, and saturates', () => {
    const [once, twice, often] = [1, 2, 30].map((times) => weightOf(sparseVectorOf('tea '.repeat(times)), 'tea'))
    expect(twice).toBeGreaterThan(once ?? Number.NaN)
    expect(often).toBeGreaterThan(twice ?? Number.NaN)
    expect(often).toBeLessThan(1.9)
  })

  it('weighs a term less in a longer text', () => {
    const short = weightOf(sparseVectorOf('green tea'), 'tea')
    expect(weightOf(sparseVectorOf(`green tea ${'kettle '.repeat(50)}`), 'tea')).toBeLessThan(short)
  })
})

describe('queryVectorOf', () => {
  it('is well formed for any query and any counts, even counts that contradict each other', () => {
    fc.assert(
      fc.property(anyText, fc.nat(), fc.nat(), (query, documentCount, frequency) => {
        expectWellFormed(queryVectorOf(termIdsOf(query), { documentCount, documentFrequencyOf: () => frequency }))
      }),
    )
  })

  it('weighs a rare term above a common one, and each term once however often it is asked', () => {
    const query = queryVectorOf(termIdsOf('tea tea zebra'), statistics(100, { tea: 60, zebra: 2 }))
    expect(query.indices).toHaveLength(2)
    expect(weightOf(query, 'zebra')).toBeGreaterThan(weightOf(query, 'tea'))
    expect(weightOf(query, 'tea')).toBeCloseTo(Math.log(1 + 40.5 / 60.5), 6)
  })

  it('keeps a term that no counted memory has, since a memory not counted yet may have it', () => {
    expect(weightOf(queryVectorOf(termIdsOf('zebra'), statistics(0)), 'zebra')).toBeGreaterThan(0)
  })
})
