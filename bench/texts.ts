/** Texts of no meaning: twelve words from a vocabulary in which a few words are common and most are rare. */
const vocabularySize = 2_000
const wordsPerText = 12
const syllables = 'ka lo mi ter ran vel son dri pu ash'.split(' ')

const syllableAt = (at: number): string => syllables[at % syllables.length] ?? ''
const wordAt = (at: number): string => syllableAt(at) + syllableAt(Math.floor(at / 10)) + syllableAt(at >> 5) + at

/** A number in 0..1 for a place in a text: the same in every run. */
const numberAt = (seed: number): number => {
  let mixed = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b)
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
}

export const textAt = (at: number): string =>
  Array.from({ length: wordsPerText }, (_, place) =>
    wordAt(Math.floor(vocabularySize * numberAt(at * wordsPerText + place + 1) ** 2)),
  ).join(' ')
