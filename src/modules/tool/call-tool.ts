/**
 * One tool with one set of arguments, as a client calls it: a step of its own. The slow part is prepared, and then the
 * effect, the step, its call and the answer under the Idempotency-Key are one unit of work.
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { type AppError, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { ExpectedContext } from '../context/context-store.ts'
import type { Idempotency, Operation, Store } from '../idempotency/idempotency.service.ts'
import type { StoredSession } from '../session/session.repository.ts'
import { type NewStep, openStep, type RecordedCall, recordCall, type StepDoor } from '../trajectory/step.repository.ts'
import { invalidArguments } from './tool.errors.ts'
import { problemOf, type ToolAnswer } from './tool-answers.ts'
import { parseModelArguments, parseToolArguments } from './tool-arguments.ts'
import { toolDefinitions } from './tool-definitions.ts'
import type { ToolArguments, ToolKey } from './tool-parameters.ts'
import {
  type PreparedTool,
  prepareTool,
  type RecallForm,
  type ToolRun,
  type ToolRunner,
  untilApplied,
} from './tool-run.ts'

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

/** Failures that are none of the tool's: they leave no step. Of a database that does not answer none could be noted. */
const isOfTheDoor = ({ code }: AppError): boolean =>
  /^(idempotency|session|database)\./.test(code) || code === 'context.version_mismatch'

export const createToolCall = ({ idempotency, contexts, tools, createId, onMemoryWrite, onCall }: ToolCallOptions) => {
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

  /** The step and its one call, under the session's lock. */
  const recordStep = async (
    tx: TenantTransaction,
    { step, call, after }: { step: NewStep; call: RecordedCall; after: StoredSession },
  ): Promise<void> => {
    const { sessionId, stepId } = step
    const contextVersion = after.context.version
    await Promise.all([openStep(tx, step), recordCall(tx, { sessionId, stepId, ordinal: 0, call, contextVersion })])
  }

  /** Notes a call that failed, so that a trajectory shows it; the failure itself changed nothing (C7). */
  const recordFailure = (
    caller: Caller,
    { session, door, made, error }: { session: StoredSession; door: StepDoor; made: MadeCall; error: AppError },
  ): Promise<void> => {
    const call = { ...made, status: 'error' as const, effective: false, result: null, problem: problemOf(error) }
    return contexts.change(caller, {
      ...{ session, writesMemoryOf: null, expected: null },
      work: (tx, locked) => recordStep(tx, { step: newStep(locked, door), call, after: locked }),
    })
  }

  /** The slow part, then effect and record in one unit. Not run again for a request that was answered before. */
  const carryOut = async <Key extends ToolKey>(
    { run, key, args, door, expected, made }: Call<Key>,
    store: Store<ToolAnswer>,
  ): Promise<ToolAnswer> => {
    const { caller, session } = run
    contexts.ensureOpen(session)
    contexts.ensureExpected(session, expected)
    const apply = ({ writesMemory, degraded, apply: applyIn }: PreparedTool): Promise<ToolAnswer> =>
      contexts.change(caller, {
        ...{ session, writesMemoryOf: writesMemory ? session.agentId : null, expected },
        work: async (tx, locked) => {
          const step = newStep(locked, door)
          const effect = await applyIn(tx, { session: locked, stepOrder: locked.nextStep + 1 })
          const { result, effective } = effect
          const after = effect.session ?? locked
          const call: RecordedCall = { ...made, status: 'ok', effective, result, problem: null }
          const answer = { tool: key, stepId: step.stepId, result, context: after.context, degraded }
          await Promise.all([recordStep(tx, { step, call, after }), store(tx, answer)])
          return answer
        },
      })
    const answer = await untilApplied(() => prepareTool(tools, { key, run, args }), apply)
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
    const { agentId } = session
    const toolCallId = createId('stp').replace('stp', 'call')
    const made: MadeCall = { toolCallId, name: toolDefinitions[key].name, arguments: parsed.value }
    const reader = door === 'mcp' ? 'answer' : 'context'
    const run: ToolRun = { caller, session, callerMessageId: null, recall, reader }
    const call = { run, key, args: parsed.value, door, expected, made }
    try {
      const operation: Operation<ToolAnswer> = (_commit, _amend, store) => carryOut(call, store)
      return await idempotency.runOnce<ToolAnswer>(caller, { agentId, operation })
    } catch (error) {
      onCall({ tool: key, status: 'error' })
      if (isAppError(error) && !isOfTheDoor(error))
        await recordFailure(caller, { session, door, made, error }).catch(() => undefined)
      throw error
    }
  }
}
