/**
 * An embedder turns texts into unit vectors whose dot product is their cosine similarity. Models differ in what they
 * want before a query and before a passage, so every call says its purpose.
 */
export type EmbeddingPurpose = 'query' | 'passage'

/**
 * What a cosine means depends on the model, so thresholds belong to it. Measured on labelled messages for the bundled
 * model, derived from anchor pairs at start for an unknown one.
 */
export type SimilarityThresholds = {
  /** FILTER removes messages at or above this similarity to its criteria. */
  readonly filter: number
  /** ADD reports a stored memory at or above this similarity as a duplicate. */
  readonly duplicate: number
}

export type EmbedOptions = {
  readonly signal?: AbortSignal
  /**
   * Whose texts they are: tenants take turns, and what is kept of the texts is kept for this tenant alone. Absent: nothing
   * is kept.
   */
  readonly tenantId?: string
  /** These texts will not come again: nothing is kept of them. Vectors that are known already may be used. */
  readonly isOnce?: boolean
  /**
   * Told of each vector as it comes, by the position of its text, so that a call which is cut short or refused leaves what
   * it had done. A driver that has all of them at once need not tell; a vector may be told twice.
   */
  readonly onVector?: (position: number, vector: Float32Array) => void
}

export type Embedder = {
  /** Identifies the vector space: vectors of different models never mix. */
  readonly model: string
  readonly dimensions: number
  readonly thresholds: SimilarityThresholds
  /**
   * One unit vector of `dimensions` per text, in the order of the texts; an empty or blank text yields a zero vector.
   * @throws AppError `embedder.unavailable` (retryable) when the model cannot be reached or misses the deadline,
   *   `embedder.refused` (not retryable) when it rejects a text, `embedder.misbehaved` on vectors of a wrong shape (retryable unless
   *   it is about the vector of one text)
   */
  embed(texts: readonly string[], purpose: EmbeddingPurpose, options?: EmbedOptions): Promise<readonly Float32Array[]>
  /** Drops what was kept of a tenant's texts. Calls under way still answer, and keep nothing. Absent: nothing is kept. */
  forget?(tenantId: string): void
  checkHealth(options?: {
    readonly signal?: AbortSignal
  }): Promise<{ readonly ready: boolean; readonly detail: string }>
  close(): Promise<void>
}
