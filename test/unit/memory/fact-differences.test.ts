import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createComparer } from '../../../src/modules/memory/fact-differences.ts'

type Pair = { language: string; kind: 'same' | 'different' | 'unrelated'; one: string; other: string }

const pairsOf = (name: string): readonly Pair[] =>
  JSON.parse(readFileSync(new URL(`../../fixtures/duplicates-${name}.json`, import.meta.url), 'utf8'))

const compare = (one: string, other: string) => createComparer(one)(other)
const saysTheSame = ({ one, other }: Pair) => compare(one, other)?.length === 0

describe('two facts', () => {
  it.each([
    ['The patient may have penicillin.', 'The patient must not have penicillin.', 'negation'],
    ['User likes C++', 'User likes C#', 'name'],
    ['It is -5 degrees outside', 'It is 5 degrees outside', 'number'],
    ['Our budget < 100 euros', 'Our budget > 100 euros', 'symbol'],
    ['Reaction to lunch 👍', 'Reaction to lunch 👎', 'symbol'],
    ['यह मेरे पिता का घर है', 'यह मेरे बेटे का घर है', 'word'],
    ['if (a && b) then stop', 'if (a || b) then stop', 'symbol'],
    ['Milo lives in Porto.', 'Milo lives in Braga.', 'name'],
    ['The exam is on 3 March.', 'The exam is on 3 May.', 'date'],
    ['The meeting was on 2024-03-05.', 'The meeting was on 2024-04-05.', 'date'],
    ['The door opens before noon.', 'The door opens after noon.', 'opposite'],
    ['Ana owes Ben 20 euros.', 'Ben owes Ana 20 euros.', 'order'],
    ['Keiko likes horror films', 'Keiko dislikes horror films', 'opposite'],
    ['The plan is valid for Ana', 'The plan is invalid for Ana', 'negation'],
  ])('are told apart by what differs: %j, %j', (one, other, difference) => {
    expect(compare(one, other)).toContain(difference)
    expect(compare(other, one)).toContain(difference)
  })

  it.each([
    ['The shop opens at 6 pm.', 'The shop opens at 18:00.'],
    ['It costs 1,000 euros.', 'It costs 1000 euros.'],
    ['Ana and Ben are married.', 'Ben and Ana are married.'],
    ['الموعد يوم ٥ مايو', 'الموعد يوم 5 مايو'],
    ['会议是六点。', '会议是6点。'],
    ['The review is on May 4th.', 'The review is on 4 May.'],
    ["Ana's cat is black", 'Ana’s cat is black.'],
  ])('say the same in another spelling: %j, %j', (one, other) => {
    expect(compare(one, other)).toEqual([])
  })

  it('V2: are the same as themselves, and differ in the same way from either side', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' }), (one, other) => {
        expect(compare(one, one)).toEqual([])
        expect(compare(one, other) === null).toBe(compare(other, one) === null)
      }),
    )
  })

  it('V2: beyond what is compared say the same only where they are the same', () => {
    const long = 'Ana went to the market and bought apples. '.repeat(100)
    expect(compare(`${long}Then she left.`, `${long}Then she stayed.`)).toEqual(['word'])
  })
})

describe('pairs of texts in seventeen languages', () => {
  it.each(['fit', 'judge'])(
    'of the half "%s": what is changed, opposite or unrelated is called no duplicate',
    (half) => {
      const pairs = pairsOf(half)
      expect(pairs.filter(({ kind }) => kind !== 'same').filter(saysTheSame)).toEqual([])
      const same = pairs.filter(({ kind }) => kind === 'same')
      expect(same.filter(saysTheSame).length / same.length).toBeGreaterThan(0.8)
    },
  )

  it('unrelated facts share too few words to be told of at all, whatever a vector says', () => {
    const unrelated = [...pairsOf('fit'), ...pairsOf('judge')].filter(({ kind }) => kind === 'unrelated')
    expect(unrelated.filter(({ one, other }) => compare(one, other) !== null)).toEqual([])
  })
})
