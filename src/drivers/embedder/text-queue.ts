/**
 * What waits for the bundled model. Queries leave before passages, since somebody waits for an answer; yet of two batches
 * one takes a passage at least, so that no flood of queries holds the passages up for ever. Of one purpose, tenants take turns,
 * the requests of a tenant take turns within, and each turn is one text: whoever has thousands waiting does not delay
 * another by more than a text of each. Requests of one tenant that wait are bounded.
 */
import type { EmbeddingPurpose } from '../../ports/embedder.ts'
import { createFairQueue, type FairQueue } from '../../shared/fair-queue.ts'

export type WaitingRequest = {
  readonly tenantId: string
  readonly purpose: EmbeddingPurpose
  readonly texts: readonly string[]
  readonly settle: { vector(position: number, vector: Float32Array): void; fail(error: unknown): void }
}

export type WaitingText = { readonly text: string; readonly position: number; readonly request: WaitingRequest }

export type TextQueue = {
  /** False: too many of its tenant wait. */
  add(request: WaitingRequest): boolean
  /** Forgets what of the request is still waiting. */
  drop(request: WaitingRequest): void
  /** Takes out texts up to both bounds, and one text at least if any waits. */
  take(bounds: { readonly textsMax: number; readonly charsMax: number }): readonly WaitingText[]
  /** Takes out every request that has waiting texts. */
  clear(): readonly WaitingRequest[]
}

type Entry = { readonly request: WaitingRequest; next: number }
type Line = FairQueue<Entry>

/** Who waits is bounded by tenant, in `add`; a request that has its turn is out of the line for no time. */
const lineBounds = { runningMax: 1, runningPerTenantMax: 1, waitingMax: Number.POSITIVE_INFINITY }

export const createTextQueue = ({ requestsPerTenantMax }: { readonly requestsPerTenantMax: number }): TextQueue => {
  const entries = new Map<WaitingRequest, Entry>()
  const requestsOf = new Map<string, number>()
  const lines: Readonly<Record<EmbeddingPurpose, Line>> = {
    query: createFairQueue<Entry>(lineBounds),
    passage: createFairQueue<Entry>(lineBounds),
  }

  const forget = (request: WaitingRequest): void => {
    if (!entries.delete(request)) return
    const left = (requestsOf.get(request.tenantId) ?? 1) - 1
    if (left === 0) requestsOf.delete(request.tenantId)
    else requestsOf.set(request.tenantId, left)
  }

  /** The text whose turn it is; its request goes to the end of its tenant's line while it has more. */
  const takeFrom = (line: Line): WaitingText | undefined => {
    const entry = line.next()
    if (entry === undefined) return undefined
    const { request, next: position } = entry
    line.finish(request.tenantId)
    entry.next += 1
    if (entry.next < request.texts.length) line.add(request.tenantId, entry)
    else forget(request)
    return { text: request.texts[position] ?? '', position, request }
  }

  const drop = (request: WaitingRequest): void => {
    const entry = entries.get(request)
    if (entry === undefined) return
    lines[request.purpose].remove(request.tenantId, entry)
    forget(request)
  }

  /** The last batch took none, though some waited. */
  let isPassageOwed = false

  return {
    add: (request) => {
      const { tenantId, purpose, texts } = request
      const waiting = requestsOf.get(tenantId) ?? 0
      if (texts.length === 0) return true
      if (waiting >= requestsPerTenantMax) return false
      const entry = { request, next: 0 }
      requestsOf.set(tenantId, waiting + 1)
      entries.set(request, entry)
      lines[purpose].add(tenantId, entry)
      return true
    },
    drop,
    take: ({ textsMax, charsMax }) => {
      const taken: WaitingText[] = []
      let chars = 0
      const fill = (line: Line, textsUpTo: number): void => {
        while (taken.length < textsUpTo && (taken.length === 0 || chars < charsMax)) {
          const text = takeFrom(line)
          if (text === undefined) return
          chars += text.text.length
          taken.push(text)
        }
      }
      if (isPassageOwed) fill(lines.passage, 1)
      fill(lines.query, textsMax - 1)
      fill(lines.passage, taken.length + 1)
      isPassageOwed = lines.passage.waiting() > 0 && taken.every(({ request }) => request.purpose === 'query')
      fill(lines.query, textsMax)
      fill(lines.passage, textsMax)
      return taken
    },
    clear: () => {
      const requests = [...entries.keys()]
      for (const request of requests) drop(request)
      return requests
    },
  }
}
