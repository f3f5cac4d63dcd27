/**
 * One tool with one set of arguments, as a client calls it: a step of its own. The slow part is prepared, and then the effect, the step, its call and the answer under the Idempotency-Key are one transaction.
 */
import type { Caller } from '../../shared/caller.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { ExpectedContext } from '../context/context-store.ts'
import type { Commit, Idempotency } from '../idempotency/idempotency.service.ts'
import { sessionClosed } from '../session/session.errors.ts'
import type { StoredSession } from '../session/session.repository.ts'
import { type NewStep, openStep, type RecordedCall, recordCall, type StepDoor } from '../trajectory/step.repository.ts'
import { invalidArguments } from './tool.errors.ts'
import { problemOf, type ToolAnswer } from './tool-answers.ts'
import { parseModelArguments, parseToolArguments } from './tool-arguments.ts'
import { toolDefinitions } from './tool-definitions.ts'
import type { ToolArguments, ToolKey } from './tool-parameters.ts'
import { prepareTool, type RecallForm, type ToolRun, type ToolRunner } from './tool-run.ts'

export type ToolCallOptions = ToolRunner & {
  readonly idempotency: Idempotency
  readonly createId: CreateId
  readonly onMemoryWrite: () => void
}

type MadeCall = Pick<RecordedCall, 'toolCallId' | 'name' | 'arguments'>

export type ToolCallRequest<Key extends ToolKey> = {
  readonly sessionId: string
  readonly key: Key
  readonly args: unknown
  readonly door: StepDoor
  /** The version of the context that the client read, where it names one. */
  readonly expected?: ExpectedContext
  /** A pair, where nothing else is said. */
  readonly recall?: RecallForm
}

type Call<Key extends ToolKey> = {
  readonly run: ToolRun
  readonly key: Key
  readonly args: ToolArguments[Key]
  readonly door: StepDoor
  readonly expected: ExpectedContext
  readonly made: MadeCall
}

/** Failures that are none of the tool's: they leave no step. */
const isOfTheDoor = ({ code }: AppError): boolean =>
  code.startsWith('idempotency.') || code.startsWith('session.') || code === 'context.version_mismatch'

export const createToolCall = ({
  database,
  idempotency,
  contexts,
  tools,
  createId,
  onMemoryWrite,
  onCall,
}: ToolCallOptions) => {
  const newStep = ({ sessionId, context }: StoredSession, door: StepDoor): NewStep => ({
    sessionId,
    stepId: createId('stp'),
    door,
    think: null,
    answer: null,
    violations: [],
    contextVersion: context.version,
    contextVersionAfter: context.version,
    generation: null,
  })

  /** Notes a call that failed, so that a trajectory shows it; the failure itself changed nothing (C7). */
  const recordFailure = async (
    caller: Caller,
    { session, door, made, error }: { session: StoredSession; door: StepDoor; made: MadeCall; error: AppError },
  ): Promise<void> => {
    const step = newStep(session, door)
    const { sessionId, stepId, contextVersion } = step
    const call = { ...made, status: 'error' as const, effective: false, result: null, problem: problemOf(error) }
    await database.transact(caller.tenantId, async (tx) => {
      const { outcome } = await openStep(tx, step)
      if (outcome === 'opened') await recordCall(tx, { sessionId, stepId, ordinal: 0, call, contextVersion })
    })
  }

  /** The slow part, then effect and record in one transaction. Not run again for a request that was answered before. */
  const carryOut = async <Key extends ToolKey>(
    { run, key, args, door, expected, made }: Call<Key>,
    commit: Commit<ToolAnswer>,
  ): Promise<ToolAnswer> => {
    const { caller, session } = run
    const { sessionId } = contexts.ensureOpen(session)
    contexts.ensureExpected(session, expected)
    const prepared = await prepareTool(tools, { key, run, args })
    const step = newStep(session, door)
    const answer = await commit(async (tx) => {
      if (expected !== null) await contexts.lockOpen(tx, caller, { sessionId, expected })
      if ((await openStep(tx, step)).outcome !== 'opened') throw sessionClosed()
      const { result, effective, context } = await prepared.apply(tx)
      const call: RecordedCall = { ...made, status: 'ok', effective, result, problem: null }
      const after = context ?? session.context
      const { stepId } = step
      await recordCall(tx, { sessionId, stepId, ordinal: 0, call, contextVersion: after.version })
      return { tool: key, stepId, result, context: after, degraded: prepared.degraded }
    })
    onMemoryWrite()
    onCall({ tool: key, status: 'ok' })
    return answer
  }

  /** @throws AppError of the arguments, the session or the tool */
  return async <Key extends ToolKey>(caller: Caller, request: ToolCallRequest<Key>): Promise<ToolAnswer> => {
    const { sessionId, key, args: raw, door, expected = null, recall = { form: 'pair' } } = request
    const parsed = door === 'mcp' ? parseModelArguments(key, raw) : parseToolArguments(key, raw)
    if (!parsed.ok) throw invalidArguments(parsed.errors)
    const session = await contexts.readSession(caller, sessionId)
    const { agentId, nextStep } = session
    const toolCallId = createId('stp').replace('stp', 'call')
    const made: MadeCall = { toolCallId, name: toolDefinitions[key].name, arguments: parsed.value }
    const stepOrder = nextStep + 1
    const reader = door === 'mcp' ? 'answer' : 'context'
    const run: ToolRun = { caller, session, stepOrder, callerMessageId: null, recall, reader }
    const call = { run, key, args: parsed.value, door, expected, made }
    try {
      return await idempotency.runOnce<ToolAnswer>(caller, { agentId, operation: (commit) => carryOut(call, commit) })
    } catch (error) {
      onCall({ tool: key, status: 'error' })
      if (isAppError(error) && !isOfTheDoor(error))
        await recordFailure(caller, { session, door, made, error }).catch(() => undefined)
      throw error
    }
  }
}
