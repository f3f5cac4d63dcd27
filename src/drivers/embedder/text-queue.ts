/**
 * What waits for the bundled model. Queries leave before passages: somebody waits for an answer. Among requests of one
 * purpose texts leave in turns, so that a request of three hundred texts does not hold up one of three.
 */
import type { EmbeddingPurpose } from '../../ports/embedder.ts'

export type WaitingRequest = {
  readonly purpose: EmbeddingPurpose
  readonly texts: readonly string[]
  readonly settle: { vector(position: number, vector: Float32Array): void; fail(error: unknown): void }
}

export type WaitingText = { readonly text: string; readonly position: number; readonly request: WaitingRequest }

export type TextQueue = {
  add(request: WaitingRequest): void
  /** Forgets what of the request is still waiting. */
  drop(request: WaitingRequest): void
  /** Takes out texts up to both bounds, and one text at least if any waits. */
  take(bounds: { readonly textsMax: number; readonly charsMax: number }): readonly WaitingText[]
  /** Takes out every request that has waiting texts. */
  clear(): readonly WaitingRequest[]
}

type Entry = { readonly request: WaitingRequest; next: number }

export const createTextQueue = (): TextQueue => {
  let queries: Entry[] = []
  let passages: Entry[] = []

  const nextEntry = (): Entry | undefined => queries[0] ?? passages[0]

  const advance = (entry: Entry): void => {
    const line = entry.request.purpose === 'query' ? queries : passages
    line.shift()
    entry.next += 1
    if (entry.next < entry.request.texts.length) line.push(entry)
  }

  return {
    add: (request) => {
      const line = request.purpose === 'query' ? queries : passages
      if (request.texts.length > 0) line.push({ request, next: 0 })
    },
    drop: (request) => {
      queries = queries.filter((entry) => entry.request !== request)
      passages = passages.filter((entry) => entry.request !== request)
    },
    take: ({ textsMax, charsMax }) => {
      const taken: WaitingText[] = []
      let chars = 0
      for (let entry = nextEntry(); entry !== undefined && taken.length < textsMax; entry = nextEntry()) {
        const text = entry.request.texts[entry.next] ?? ''
        chars += text.length
        if (taken.length > 0 && chars > charsMax) break
        taken.push({ text, position: entry.next, request: entry.request })
        advance(entry)
      }
      return taken
    },
    clear: () => {
      const requests = [...queries, ...passages].map((entry) => entry.request)
      queries = []
      passages = []
      return requests
    },
  }
}
