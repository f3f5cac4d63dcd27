/** Vectors of rows, as many as come in time. */
import { type AppError, isAppError } from '../../shared/errors.ts'
import type { IndexableRow } from './index.repository.ts'
import { embedDeadlineMs, type RoundMeans } from './index-round.ts'

export type EmbeddedRows = {
  /** By the place of the row: its vector, why the embedder refuses it, or null where it was not done. */
  readonly outcomes: readonly (Float32Array | AppError | null)[]
  /** Why some were not done; null: all were. */
  readonly failure: unknown
}

type Means = Pick<RoundMeans, 'embedder' | 'createSignal' | 'embedTimeoutMs'>
type Request = { readonly tenantId: string; readonly rows: readonly IndexableRow[] }

const isRefusal = (error: unknown): error is AppError => isAppError(error) && !error.retryable

/** Places of the texts that a refusal names. */
const refusedPlaces = ({ errors }: AppError): readonly number[] =>
  errors.flatMap(({ pointer }) => (/^\/\d+$/.test(pointer) ? [Number(pointer.slice(1))] : []))

/**
 * One refused text does not cost the others theirs: it is known by its place, or found by asking for each of the rest
 * alone. What came before a failure is kept. All of it has one deadline.
 */
export const embedRows = async (means: Means, { tenantId, rows }: Request): Promise<EmbeddedRows> => {
  const { embedder } = means
  const texts = rows.map((row) => row.content)
  const signal = means.createSignal(embedDeadlineMs(texts, means.embedTimeoutMs))
  const outcomes: (Float32Array | AppError | null)[] = rows.map(() => null)

  const embed = async (places: readonly number[]): Promise<void> => {
    const onVector = (position: number, vector: Float32Array): void => {
      const place = places[position]
      if (place !== undefined) outcomes[place] = vector
    }
    const wanted = places.map((place) => texts[place] ?? '')
    const vectors = await embedder.embed(wanted, 'passage', { signal, tenantId, isOnce: true, onVector })
    for (const [position, vector] of vectors.entries()) onVector(position, vector)
  }

  const embedAlone = async (place: number): Promise<void> => {
    try {
      await embed([place])
    } catch (error) {
      if (!isRefusal(error)) throw error
      outcomes[place] = error
    }
  }

  try {
    await embed([...rows.keys()])
  } catch (error) {
    if (!isRefusal(error)) return { outcomes, failure: error }
    for (const place of refusedPlaces(error)) if (place < rows.length) outcomes[place] = error
    try {
      for (const place of rows.keys()) if (outcomes[place] === null) await embedAlone(place)
    } catch (failure) {
      return { outcomes, failure }
    }
  }
  return { outcomes, failure: null }
}
