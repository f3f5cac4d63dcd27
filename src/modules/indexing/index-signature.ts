import type { Embedder } from '../../ports/embedder.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'

/** What the clocks speak of. Another kind of index begins it with another word. */
export const signatureOf = ({ vectorIndex, embedder }: { vectorIndex: VectorIndex; embedder: Embedder }): string =>
  `${vectorIndex.name} ${embedder.model} ${embedder.dimensions}`

export const isOtherKind = (one: string, other: string): boolean => one.split(' ')[0] !== other.split(' ')[0]
