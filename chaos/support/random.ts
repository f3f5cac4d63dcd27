/** Chance that repeats: the same seed makes the same requests in the same order of asking. */
export type Random = {
  /** 0 up to but without `end`. */
  below(end: number): number
  chance(share: number): boolean
  pick<T>(items: readonly T[]): T
  /** Lower-case words that mean nothing. */
  words(count: number): string
  hex(digits: number): string
  /** Another source, that takes nothing from this one however much is asked of it. */
  fork(): Random
}

const syllables = 'ka lo mi ter ran vel son dri pu ash'.split(' ')

/** mulberry32. */
const createNext = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const createRandom = (seed: number): Random => {
  const next = createNext(seed)
  const below = (end: number) => Math.floor(next() * end)
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError('There is nothing to pick from.')
    return items[below(items.length)] as T
  }
  const word = () => Array.from({ length: 2 + below(2) }, () => pick(syllables)).join('')
  return {
    below,
    pick,
    chance: (share) => next() < share,
    words: (count) => Array.from({ length: count }, word).join(' '),
    hex: (digits) => Array.from({ length: digits }, () => below(16).toString(16)).join(''),
    fork: () => createRandom(below(2 ** 31)),
  }
}
