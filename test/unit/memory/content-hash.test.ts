import { describe, expect, it } from 'vitest'
import { contentHashOf, sameTextOf } from '../../../src/modules/memory/content-hash.ts'

const isIdentical = (one: string, other: string) => contentHashOf(one) === contentHashOf(other)

describe('identical contents', () => {
  it.each([
    ['User likes tea.', ' user  LIKES\n\ttea. '],
    ['Café', 'Cafe\u0301'],
    ['ＡＢＣ　１２３！', 'abc 123!'],
    ['ｶﾞｷﾞ', 'ガギ'],
    ['ÅNGSTRÖM', 'a\u030angstro\u0308m'],
    ['한글', '한글'.normalize('NFD')],
    ['İstanbul', 'I\u0307stanbul'],
  ])('are told by normalisation, width, case and white space alone: %j and %j', (one, other) => {
    expect(isIdentical(one, other)).toBe(true)
  })

  it.each([
    ['User likes C++', 'User likes C#'],
    ['User likes C++', 'User likes C'],
    ['-5 degrees', '5 degrees'],
    ['budget < 100', 'budget > 100'],
    ['Reaction 👍', 'Reaction 👎'],
    ['Reaction 👍', 'Reaction 👍🏿'],
    ['Reaction 👍', 'Reaction'],
    ['पिता', 'पीता'],
    ['if (a && b)', 'if (a || b)'],
    ['x²', 'x2'],
    ['1.5 litres', '15 litres'],
    ['Is Ana coming?', 'Is Ana coming.'],
    ['a != b', 'a == b'],
    ['5 €', '5 $'],
    ['résumé', 'resume'],
    ['שָׁלוֹם', 'שלום'],
    ['~/notes', '/notes'],
    ['a_b', 'ab'],
    ['5%', '5‰'],
    ['@ana', '#ana'],
    ['かき', 'がき'],
    ['👨‍👩‍👧', '👨👩👧'],
  ])('are not: %j and %j', (one, other) => {
    expect(isIdentical(one, other)).toBe(false)
  })

  it('V2: have one form, which is its own', () => {
    for (const text of ['ＡＢＣ ﾊﾟﾝ', 'ΟΔΥΣΣΕΥΣ', 'ǅ ﬁ ẞ', '\u0345\u0334a', ' ']) {
      expect(sameTextOf(sameTextOf(text))).toBe(sameTextOf(text))
    }
  })
})
