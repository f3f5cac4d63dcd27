import type { Embedder } from '../../ports/embedder.ts'
import { isAppError } from '../../shared/errors.ts'
import type { IndexableRow } from './index.repository.ts'

type Means = { readonly embedder: Embedder; readonly createSignal: () => AbortSignal }
type Embedded = readonly (Float32Array | Error)[]

const embedOneByOne = async (rows: readonly IndexableRow[], { embedder, createSignal }: Means): Promise<Embedded> => {
  const vectors: (Float32Array | Error)[] = []
  for (const row of rows) {
    try {
      const [vector] = await embedder.embed([row.content], 'passage', { signal: createSignal() })
      vectors.push(vector ?? new Error('no vector'))
    } catch (error) {
      if (!isAppError(error) || error.retryable) throw error
      vectors.push(error)
    }
  }
  return vectors
}

/** A vector per row, or why the embedder refused it. One refused text does not cost the others theirs. */
export const embedRows = async (rows: readonly IndexableRow[], means: Means): Promise<Embedded> => {
  const texts = rows.map((row) => row.content)
  try {
    return await means.embedder.embed(texts, 'passage', { signal: means.createSignal() })
  } catch (error) {
    if (!isAppError(error) || error.retryable) throw error
    return embedOneByOne(rows, means)
  }
}
