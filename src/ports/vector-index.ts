/**
 * A vector index finds the memories nearest to a query. It holds ids, vectors and what filters need, never text:
 * PostgreSQL is the truth, so losing an index costs recall until it is rebuilt, and a filter it ignores never leaks.
 *
 * Every method takes the tenant first and the driver itself adds the filter on it. A *space* is one life of one agent's
 * memory: an erased agent that comes back under the same id gets a new space, so a late write to the old one is never
 * seen again.
 */

/** Term ids (unsigned 32-bit, ascending, unique) and their weights; both arrays have the same length. */
export type SparseVector = { readonly indices: readonly number[]; readonly values: readonly number[] }

/** Where a memory stands in an ordered text: the `position`-th piece of `sourceId`; `asks`: the piece ends by asking. */
export type SourcePosition = { readonly sourceId: string; readonly position: number; readonly asks?: true }

export type IndexPoint = {
  readonly memoryId: string
  /** Clock of the agent's memory at which this content was written; an older revision never replaces a newer one. */
  readonly revision: number
  /** Unit length, `dimensions` of the index; absent when the embedder refused the text: the words still find it. */
  readonly dense: Float32Array | null
  readonly sparse: SparseVector
  /** One opaque string for each pair of the metadata that a filter can ask for. */
  readonly facets: readonly string[]
  readonly source: SourcePosition | null
  /** Milliseconds since the epoch after which the memory is invisible; null: never. */
  readonly expiresAtMs: number | null
}

export type IndexFilter = {
  /** Every one of these must be on the point. */
  readonly facets: readonly string[]
  /** Points that expire at or before this moment do not count. */
  readonly nowMs: number
}

export type IndexHit = { readonly memoryId: string; readonly score: number; readonly source: SourcePosition | null }

export type IndexQuery = {
  readonly dense: Float32Array | null
  readonly sparse: SparseVector | null
  readonly filter: IndexFilter
  /** Most hits per list, at least 1. */
  readonly limit: number
}

/** Both lists by descending score, ties by ascending memory id; a list is empty where its vector was null. */
export type IndexAnswer = {
  /** Score: cosine similarity, -1..1. */
  readonly dense: readonly IndexHit[]
  /** Score: dot product of the sparse vectors; only points that share a term with the query. */
  readonly sparse: readonly IndexHit[]
}

/** What an index that can be rebuilt answers searches from. */
export type ServingIndex = {
  readonly name: string
  /** Does it hold vectors of this embedder? If not, only its words can be searched and written. */
  readonly fits: boolean
}

/**
 * How an index that lives elsewhere is built anew beside the one that serves, which it then replaces in one step. The
 * caller remembers the names it made and sees to it that only one process at a time does this.
 */
export type IndexRebuilding = {
  /** A name for an index that is to be made; `id` makes it unique. */
  nameFor(id: string): string
  /** Null when nothing serves: searches are unavailable. */
  findServing(options?: { readonly signal?: AbortSignal }): Promise<ServingIndex | null>
  /** Makes an empty index that does not serve; one of that name may be there already. */
  create(name: string): Promise<void>
  /** Writes into an index that does not serve yet. */
  into(name: string): Pick<VectorIndex, 'upsert' | 'remove'>
  /** From now on this one serves and the one before it does not, with no moment between. */
  serve(name: string): Promise<void>
  /** Removes one that does not serve; a missing one is fine. */
  drop(name: string): Promise<void>
}

export type IndexState = { readonly ready: boolean; readonly detail: string }

export type VectorIndex = {
  readonly name: 'exact' | 'qdrant'
  /** Absent where there is nothing to rebuild: a cache of PostgreSQL. */
  readonly rebuilding?: IndexRebuilding
  /** Sees to it that something serves, an empty index if need be. Safe to call from several processes at once. */
  ensureReady(options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * Stores the points; those with an older revision than what is stored are ignored, and so is one without a vector where
   * the same revision is stored with one. No two have the same id. Resolves when searches see them; an index that is a
   * cache of PostgreSQL shows them once they are published there.
   * @throws AppError `vector_index.unavailable` (retryable), as every method does, or `vector_index.misbehaved`
   */
  upsert(
    tenantId: string,
    spaceId: string,
    points: readonly IndexPoint[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>
  /** Removes the points; unknown ids are fine. Resolves when searches no longer see them. */
  remove(
    tenantId: string,
    spaceId: string,
    memoryIds: readonly string[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>
  /** Removes a whole space, also from an index under construction, and answers how many points it held. */
  removeSpace(tenantId: string, spaceId: string, options?: { readonly signal?: AbortSignal }): Promise<number>
  /** Both lists in one exchange with the index. Which of several hits with one score end a full list is its choice. */
  search(
    tenantId: string,
    spaceId: string,
    query: IndexQuery,
    options?: { readonly signal?: AbortSignal },
  ): Promise<IndexAnswer>
  /** Every point of a space, each once, in an order of the index's own; a page begins after the last of the one before. */
  list(
    tenantId: string,
    spaceId: string,
    page: { readonly afterMemoryId: string | null; readonly limit: number },
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly { readonly memoryId: string; readonly revision: number }[]>
  checkHealth(options?: { readonly signal?: AbortSignal }): Promise<IndexState>
  close(): Promise<void>
}
