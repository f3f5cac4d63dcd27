/**
 * The best of many scored rows, in the time of one comparison for each that is not among them: a heap with the worst
 * kept hit at its root. Better: the higher score, then the smaller memory id.
 */
export type ScoredRow = { readonly row: number; readonly score: number }

export type TopHits = {
  offer(row: number, score: number): void
  /** The score that a hit needs at least to be among the best; -Infinity while there is room. */
  bar(): number
  /** Best first. */
  take(): readonly ScoredRow[]
}

export const createTopHits = (limit: number, memoryIdOf: (row: number) => string): TopHits => {
  const heap: ScoredRow[] = []
  let worstScore = Number.NEGATIVE_INFINITY

  const compare = (one: ScoredRow, other: ScoredRow): number =>
    other.score - one.score || (memoryIdOf(one.row) < memoryIdOf(other.row) ? -1 : 1)

  /** Worse than all of its children is where the hit at `start` belongs: sinks until it is. */
  const sink = (start: number): void => {
    for (let at = start; ; ) {
      let worst = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const [one, other] = [heap[child], heap[worst]]
        if (one !== undefined && other !== undefined && compare(one, other) > 0) worst = child
      }
      const [hit, below] = [heap[at], heap[worst]]
      if (worst === at || hit === undefined || below === undefined) return
      heap[at] = below
      heap[worst] = hit
      at = worst
    }
  }

  return {
    offer: (row, score) => {
      if (heap.length < limit) {
        heap.push({ row, score })
        if (heap.length < limit) return
        for (let at = heap.length >>> 1; at >= 0; at -= 1) sink(at)
      } else {
        if (score < worstScore) return
        const hit = { row, score }
        const root = heap[0]
        if (root === undefined || compare(hit, root) > 0) return
        heap[0] = hit
        sink(0)
      }
      worstScore = heap[0]?.score ?? worstScore
    },
    bar: () => worstScore,
    take: () => heap.sort(compare),
  }
}
