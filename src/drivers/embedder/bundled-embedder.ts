/**
 * The embedder that needs nothing else: Universal Sentence Encoder lite, English, 512 dimensions, whose weights an npm
 * package ships, in a thread of its own. It treats queries and passages alike.
 *
 * Requests that wait are served from one queue in batches, tenants in turns. A batch is kept short in characters, because
 * a query that comes while one runs waits for its end. Time grows with a text's length up to the 128 tokens that the model reads
 * (about 600 characters of English), and is level from there.
 */
import type { Logger } from 'pino'
import type { Embedder, EmbeddingPurpose, EmbedOptions, SimilarityThresholds } from '../../ports/embedder.ts'
import { embedderUnavailable } from './embedder-errors.ts'
import { createModelThread, startBundledWorker } from './model-thread.ts'
import { createTextQueue, type WaitingRequest } from './text-queue.ts'
import { embedNonBlank } from './unit-vector.ts'

const dimensions = 512
/** Larger batches take longer and do hardly more: texts of 9 words take a tenth less time each at 1,024 characters. */
const batchBounds = { textsMax: 32, charsMax: 256 }
/** Calls of one tenant that wait; those above are turned away. */
const requestsPerTenantMax = 1_024

/**
 * Longer texts are cut here. The model reads 128 tokens and its longest has 16 characters, so what is cut could not
 * have changed the vector; it would only take time, since finding the tokens is quadratic in the length.
 */
const textCharsMax = 2_048

/** The model reads compatibility forms (NFKC), in which one letter can be eighteen. */
const readPart = (text: string): string => text.slice(0, textCharsMax).normalize('NFKC').slice(0, textCharsMax)

/**
 * Measured on the labelled texts in test/fixtures/topics (scripts/calibrate-thresholds.ts). FILTER: precision 0.93,
 * recall 0.68 over 390 decisions. Duplicates: precision 1.00, recall 0.79 over 52 pairs. Both lean to precision: a
 * message that stays costs tokens, one that leaves wrongly costs knowledge.
 */
const bundledThresholds: SimilarityThresholds = { filter: 0.34, duplicate: 0.78 }

const stateDetails = {
  loading: 'The bundled embedding model is loading.',
  idle: 'The bundled embedding model is ready.',
  busy: 'The bundled embedding model is ready.',
  waiting: 'The bundled embedding model stopped and will be started again.',
  closed: 'The bundled embedding model is closed.',
}

export type BundledEmbedderOptions = {
  readonly logger: Logger
  /** Deadline of one `embed`, its wait included. */
  readonly timeoutMs?: number
  /** A thread that does not answer for this long is ended and started again. */
  readonly stuckMs?: number
  /** Pause before the first restart of the thread; it doubles with each failure in a row, to 30 s at most. */
  readonly restartDelayMs?: number
  /** The thread that runs the model; see bundled-worker.ts for what it answers. */
  readonly startWorker?: typeof startBundledWorker
}

type Asked = { readonly purpose: EmbeddingPurpose } & Pick<EmbedOptions, 'signal' | 'tenantId' | 'onVector'>

/** Loads the model at once, in the background; requests wait for it. */
export const createBundledEmbedder = (options: BundledEmbedderOptions): Embedder => {
  const { logger, timeoutMs = 60_000, stuckMs = 60_000, restartDelayMs = 250 } = options
  const queue = createTextQueue({ requestsPerTenantMax })

  const serve = (): void => {
    if (!thread.isIdle()) return
    const taken = queue.take(batchBounds)
    if (taken.length === 0) return
    thread.run(taken.map(({ text }) => text)).then(
      (vectors) => {
        for (const [index, { request, position }] of taken.entries())
          request.settle.vector(position, vectors[index] ?? new Float32Array(dimensions))
      },
      (error) => {
        for (const { request } of taken) request.settle.fail(error)
      },
    )
  }

  const failAll = (detail: string): void => {
    for (const request of queue.clear()) request.settle.fail(embedderUnavailable(detail))
  }

  const thread = createModelThread({
    logger,
    startWorker: options.startWorker ?? startBundledWorker,
    stuckMs,
    restartDelayMs,
    onIdle: serve,
    onLoadFailed: () => failAll('The bundled embedding model cannot be loaded at the moment. Try again.'),
  })

  const embedWaiting = (texts: readonly string[], { purpose, signal, tenantId = '', onVector }: Asked) =>
    new Promise<readonly Float32Array[]>((resolve, reject) => {
      const vectors: Float32Array[] = []
      let missing = texts.length
      const end = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        queue.drop(request)
      }
      const fail = (error: unknown): void => {
        end()
        reject(error)
      }
      const settleVector = (position: number, vector: Float32Array): void => {
        vectors[position] = vector
        onVector?.(position, vector)
        missing -= 1
        if (missing > 0) return
        end()
        resolve(vectors)
      }
      const request: WaitingRequest = { tenantId, purpose, texts, settle: { vector: settleVector, fail } }
      const abort = (): void => fail(signal?.reason)
      const late = `The bundled embedding model did not get to the text within ${timeoutMs} ms. Try again.`
      const tooMany = 'Too many calls of this tenant wait for the bundled embedding model. Try again later.'
      const timer = setTimeout(() => fail(embedderUnavailable(late)), timeoutMs)
      signal?.addEventListener('abort', abort, { once: true })
      if (!queue.add(request)) return fail(embedderUnavailable(tooMany))
      serve()
    })

  return {
    model: 'universal-sentence-encoder-lite',
    dimensions,
    thresholds: bundledThresholds,
    embed: async (texts, purpose, { signal, tenantId, onVector } = {}) => {
      signal?.throwIfAborted()
      if (thread.state() === 'closed') throw embedderUnavailable(stateDetails.closed)
      const embed = (found: readonly string[], positions: readonly number[]) =>
        embedWaiting(found.map(readPart), {
          ...{ purpose, ...(signal && { signal }), ...(tenantId !== undefined && { tenantId }) },
          ...(onVector && { onVector: (index, vector) => onVector(positions[index] ?? 0, vector) }),
        })
      return embedNonBlank(texts, embed, () => dimensions)
    },
    checkHealth: async () => {
      const state = thread.state()
      return { ready: state === 'idle' || state === 'busy', detail: stateDetails[state] }
    },
    close: async () => {
      await thread.close()
      failAll(stateDetails.closed)
    },
  }
}
