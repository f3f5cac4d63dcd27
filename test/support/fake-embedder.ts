import { createHash } from 'node:crypto'
import type { Embedder } from '../../src/ports/embedder.ts'
import { AppError } from '../../src/shared/errors.ts'

export type FakeEmbedder = Embedder & {
  /** What the next calls do: answer (and refuse texts that hold `poison`), fail as a server that is away, or never end. */
  behaviour: 'answers' | 'unavailable' | 'hangs'
  /** Texts with this word are never answered, nor is who is asked for together with them. */
  hangsOn: string | null
  /** Tells of each vector as it has it, before those that hang. */
  isGradual: boolean
  /** Calls that hang now. */
  hanging(): number
  calls: number
}

/** A hashed bag of words: texts that share words are similar, the same text always gives the same vector. */
const vectorOf = (text: string, dimensions: number): Float32Array => {
  const vector = new Float32Array(dimensions)
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const slot = createHash('sha256').update(word).digest().readUInt32BE(0) % dimensions
    vector[slot] = (vector[slot] ?? 0) + 1
  }
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((value) => value / length)
}

/** An embedder without a model, for tests of everything above the port. */
export const createFakeEmbedder = ({
  model = 'fake',
  dimensions = 64,
}: {
  model?: string
  dimensions?: number
} = {}): FakeEmbedder => {
  let hanging = 0
  const hang = (signal: AbortSignal | undefined): Promise<never> => {
    hanging += 1
    return new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))).finally(
      () => {
        hanging -= 1
      },
    )
  }
  const embedder: FakeEmbedder = {
    model,
    dimensions,
    thresholds: { filter: 0.5, duplicate: 0.92 },
    behaviour: 'answers',
    hangsOn: null,
    isGradual: false,
    hanging: () => hanging,
    calls: 0,
    embed: async (texts, _purpose, { signal, onVector } = {}) => {
      embedder.calls += 1
      const { hangsOn } = embedder
      if (embedder.isGradual)
        for (const [position, text] of texts.entries())
          if (hangsOn === null || !text.includes(hangsOn)) onVector?.(position, vectorOf(text, dimensions))
      if (embedder.behaviour === 'hangs' || (hangsOn !== null && texts.some((text) => text.includes(hangsOn))))
        await hang(signal)
      if (embedder.behaviour === 'unavailable')
        throw new AppError({
          code: 'embedder.unavailable',
          status: 503,
          retryable: true,
          retryAfterSeconds: 1,
          detail: 'away',
        })
      if (texts.some((text) => text.includes('poison')))
        throw new AppError({ code: 'embedder.refused', status: 422, detail: 'refused' })
      return texts.map((text) => vectorOf(text, dimensions))
    },
    checkHealth: async () => ({ ready: embedder.behaviour === 'answers', detail: embedder.behaviour }),
    close: async () => {},
  }
  return embedder
}
