import { LRUCache } from 'lru-cache'

/** Of the texts whose counts are kept, in UTF-16 units: those of the largest context twice. */
const unitsMax = 16 * 1_048_576

export type KeptCounts = {
  /** Tokens of the text, which is not empty. */
  count(text: string): number
  forget(): void
}

/** Counts each text once, as long as it comes again soon: the least recently used are forgotten first. */
export const keepCounts = (countNew: (text: string) => number): KeptCounts => {
  const kept = new LRUCache<string, number>({ maxSize: unitsMax, sizeCalculation: (_count, { length }) => length })
  return {
    count: (text) => {
      const known = kept.get(text)
      if (known !== undefined) return known
      const count = countNew(text)
      kept.set(text, count)
      return count
    },
    forget: () => kept.clear(),
  }
}
