import { describe, expect, it } from 'vitest'
import { splitSentences } from '../../../src/modules/context/sentences.ts'
import { cutText } from '../../../src/shared/cut-text.ts'

const characters = {
  'an emoji of several parts': '👩\u200d🚀',
  'a family': '👨\u200d👩\u200d👧\u200d👦',
  'a flag': '🇩🇪',
  'a consonant with its vowel': 'නි',
  'a letter with a mark': 'e\u0301',
  'a kanji with its variant': '葛\u{e0100}',
}

describe('a text that is cut', () => {
  it.each(Object.entries(characters))('keeps %s whole wherever the cut falls', (_, character) => {
    const text = character.repeat(40)
    for (let unitsMax = 0; unitsMax < text.length; unitsMax += 1) {
      const cut = cutText(text, unitsMax)
      expect(cut).toBe(character.repeat(Math.floor(unitsMax / character.length)))
    }
    expect(cutText(text, text.length)).toBe(text)
  })

  it('is no shorter than it has to be under hundreds of marks, and never ends in half of a pair', () => {
    expect(cutText(`a${'\u0345'.repeat(500)}`, 300)).toHaveLength(300)
    expect(cutText(`a${'\u{e0100}'.repeat(500)}`, 300)).toHaveLength(299)
    expect(cutText('😀', 1)).toBe('')
  })

  it.each(Object.entries(characters))('keeps %s whole at the end of a sentence of a summary', (_, character) => {
    const [piece = ''] = splitSentences(`word ${character.repeat(300)}`)
    expect(piece).toMatch(/…$/)
    expect(piece.slice('word '.length, -1).replaceAll(character, '')).toBe('')
  })
})
