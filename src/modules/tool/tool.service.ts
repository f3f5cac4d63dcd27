/**
 * The doors to the tools: a single call (`call`), what a client's model wrote (`callAll`), and what the service's own
 * policy wrote (`runTurn`). All go the same way: read a snapshot, prepare the slow part, then apply the effect and record
 * the call in one short transaction. A step that was begun is completed under the same ids when its request is repeated
 * with its Idempotency-Key.
 */
import { createHash } from 'node:crypto'
import type { Caller } from '../../shared/caller.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { createToolCall } from './call-tool.ts'
import { createTurnRunner, type ModelOutput } from './run-turn.ts'
import type { StepAnswer } from './tool-answers.ts'
import type { ToolRunner } from './tool-run.ts'

export type ToolServiceOptions = ToolRunner & {
  readonly idempotency: Idempotency
  readonly createId: CreateId
  readonly onMemoryWrite: () => void
}

export type ToolService = ReturnType<typeof createToolService>

/** The same for a request that is sent again, so that its step is found. */
const stepIdOf = (sessionId: string, key: string): string =>
  `stp_${createHash('sha256').update(`${sessionId}\n${key}`).digest('hex').slice(0, 32)}`

export const createToolService = (options: ToolServiceOptions) => {
  const { idempotency, contexts } = options
  const runTurn = createTurnRunner(options)

  /** Everything that a model wrote in one turn, once per Idempotency-Key. */
  const callAll = async (
    caller: Caller,
    { sessionId, output: { append, ...output } }: { sessionId: string; output: ModelOutput & { append: boolean } },
  ): Promise<StepAnswer> => {
    const { session } = await contexts.readSnapshot(caller, sessionId)
    contexts.ensureOpen(session)
    const turn = { sessionId, output, door: 'tool_calls' as const, append }
    const key = caller.idempotency?.key
    return idempotency.runOnce<StepAnswer>(caller, {
      agentId: session.agentId,
      operation: async (commit) => {
        const step = await runTurn(caller, key === undefined ? turn : { ...turn, stepId: stepIdOf(sessionId, key) })
        return commit(async () => step)
      },
    })
  }

  return { call: createToolCall(options), callAll, runTurn }
}
