/** What the rounds of the indexer share. */
import type { Logger } from 'pino'
import type { Database } from '../../ports/database.ts'
import type { Embedder } from '../../ports/embedder.ts'
import type { VectorIndex } from '../../ports/vector-index.ts'
import { isAppError } from '../../shared/errors.ts'
import type { AgentLease } from './index-lease.repository.ts'
import type { Pace } from './pace.ts'

/** Of one call to the index. A lease outlasts the longest embedding and such a call together. */
export const indexCallMs = 20_000

export type RoundMeans = {
  readonly database: Database
  readonly vectorIndex: VectorIndex
  readonly embedder: Embedder
  readonly logger: Logger
  readonly pace: Pace
  readonly restMs: number
  /** Of the shortest embedding; longer texts have more. */
  readonly embedTimeoutMs: number
  readonly createSignal: (timeoutMs: number) => AbortSignal
  /** The round ended by no answer in time. */
  readonly onSlow: (tenantId: string) => void
  readonly hasStopped: () => boolean
}

export const paceKeyOf = (phase: string, { tenantId, spaceId }: AgentLease): string => `${phase} ${tenantId} ${spaceId}`

/** Why something could not be indexed, as it is stored beside the memory: never what a library said of the content. */
export const reasonOf = (error: unknown): string =>
  isAppError(error) ? error.detail : 'It was not done in time, or failed.'

const embedMsMax = 30_000
/** Servers that read on take half of this a character on a slow machine. */
const embedMsPerCharacter = 1

/** The deadline of one embedding by the texts' length. */
export const embedDeadlineMs = (texts: readonly string[], baseMs: number): number =>
  Math.min(embedMsMax, baseMs + texts.reduce((sum, text) => sum + text.length, 0) * embedMsPerCharacter)
