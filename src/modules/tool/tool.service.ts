/**
 * Runs tools. One door for a single call (`call`), one for what a model wrote (`callAll`); both go the same way: read a
 * snapshot, prepare the slow part, then apply the effect and record the call in one short transaction. A step that was
 * begun is completed under the same ids when its request is repeated with its Idempotency-Key: calls that were recorded
 * are not run again.
 */
import { createHash } from 'node:crypto'
import type { Database, TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { type AppError, brokenInvariant, type FieldError, isAppError } from '../../shared/errors.ts'
import type { CreateId } from '../../shared/ids.ts'
import type { ContextService, Snapshot } from '../context/context.service.ts'
import type { NewMessage } from '../context/plan-append.ts'
import type { Idempotency } from '../idempotency/idempotency.service.ts'
import { sessionClosed } from '../session/session.errors.ts'
import type { ContextMeasure } from '../session/session-types.ts'
import { findCalls, openStep, type RecordedCall, recordCall, type StepDoor } from '../trajectory/step.repository.ts'
import { parseOpenAiToolCalls } from './parse-openai-calls.ts'
import { type ParsedStep, parseModelOutput } from './parse-output.ts'
import type { ParsedCall } from './read-calls.ts'
import { invalidArguments, outputMissing, unrunnableCall } from './tool.errors.ts'
import { parseModelArguments, parseToolArguments } from './tool-arguments.ts'
import { toolDefinitions } from './tool-definitions.ts'
import type { ToolArguments, ToolKey } from './tool-parameters.ts'
import type { PreparedTool, RecallForm, ToolRun, Tools } from './tool-run.ts'
import type { Violation } from './violations.ts'

export type ToolAnswer = {
  readonly tool: ToolKey
  readonly stepId: string
  readonly result: Readonly<Record<string, unknown>>
  readonly context: ContextMeasure
  readonly degraded: readonly string[]
}

/** What a model reads of a call that failed. */
export type CallProblemBody = {
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly errors?: readonly FieldError[]
}

export type CallAnswer = {
  readonly toolCallId: string
  readonly name: string
  readonly status: 'ok' | 'error'
  readonly result: unknown
  readonly problem: CallProblemBody | null
}

export type StepAnswer = {
  readonly stepId: string
  readonly think: string | null
  readonly answer: string | null
  readonly calls: readonly CallAnswer[]
  /** The tool messages, in OpenAI's form, that answer the calls. */
  readonly messages: readonly { readonly role: 'tool'; readonly tool_call_id: string; readonly content: string }[]
  readonly violations: readonly Violation[]
  readonly context: ContextMeasure
}

export type ModelOutput = {
  readonly output?: string | undefined
  readonly toolCalls?: unknown
  /** Store the assistant's message and the tool messages in the context. */
  readonly append: boolean
}

export type ToolServiceOptions = {
  readonly database: Database
  readonly idempotency: Idempotency
  readonly contexts: ContextService
  readonly tools: Tools
  readonly createId: CreateId
  readonly onMemoryWrite: () => void
  readonly onCall: (call: { readonly tool: ToolKey; readonly status: 'ok' | 'error' }) => void
}

export type ToolService = ReturnType<typeof createToolService>

const problemOf = ({ code, status, detail, errors }: AppError): CallProblemBody => ({
  code,
  status,
  detail,
  ...(errors.length === 0 ? {} : { errors }),
})

export const createToolService = ({
  database,
  idempotency,
  contexts,
  tools,
  createId,
  onMemoryWrite,
  onCall,
}: ToolServiceOptions) => {
  const prepare = <Key extends ToolKey>(key: Key, run: ToolRun, args: ToolArguments[Key]): Promise<PreparedTool> =>
    tools[key](run, args)

  /** Notes a call that failed, so that a trajectory shows it; the failure itself changed nothing (C7). */
  const recordFailure = async (
    caller: Caller,
    { snapshot, door, call }: { snapshot: Snapshot; door: StepDoor; call: RecordedCall },
  ): Promise<void> => {
    const { sessionId } = snapshot.session
    const stepId = createId('stp')
    const contextVersion = snapshot.context.version
    await database.transact(caller.tenantId, async (tx) => {
      const step = { sessionId, stepId, door, think: null, answer: null, violations: [], contextVersion }
      if ((await openStep(tx, step)) === 'opened')
        await recordCall(tx, { sessionId, stepId, ordinal: 0, call, contextVersion })
    })
  }

  const callOf = (key: ToolKey, args: unknown): Omit<RecordedCall, 'status' | 'effective' | 'result' | 'problem'> => ({
    toolCallId: createId('stp').replace('stp', 'call'),
    name: toolDefinitions[key].name,
    arguments: args,
  })

  /** One tool with checked arguments. */
  const call = async <Key extends ToolKey>(
    caller: Caller,
    { sessionId, key, args: raw, door }: { sessionId: string; key: Key; args: unknown; door: StepDoor },
  ): Promise<ToolAnswer> => {
    const parsed = door === 'mcp' ? parseModelArguments(key, raw) : parseToolArguments(key, raw)
    if (!parsed.ok) throw invalidArguments(parsed.errors)
    const snapshot = await contexts.readSnapshot(caller, sessionId)
    contexts.ensureOpen(snapshot.session)
    const made = callOf(key, parsed.value)
    const run: ToolRun = { caller, snapshot, callerMessageId: null, recall: { form: 'pair' } }
    try {
      const answer = await idempotency.runOnce<ToolAnswer>(caller, {
        agentId: snapshot.session.agentId,
        operation: async (commit) => {
          const prepared = await prepare(key, run, parsed.value)
          const stepId = createId('stp')
          return commit(async (tx) => {
            const { version: contextVersion } = snapshot.context
            const step = { sessionId, stepId, door, think: null, answer: null, violations: [], contextVersion }
            if ((await openStep(tx, step)) !== 'opened') throw sessionClosed()
            const { result, effective, context } = await prepared.apply(tx)
            const recorded: RecordedCall = { ...made, status: 'ok', effective, result, problem: null }
            const after = context ?? snapshot.session.context
            await recordCall(tx, { sessionId, stepId, ordinal: 0, call: recorded, contextVersion: after.version })
            return { tool: key, stepId, result, context: after, degraded: prepared.degraded }
          })
        },
      })
      onMemoryWrite()
      onCall({ tool: key, status: 'ok' })
      return answer
    } catch (error) {
      onCall({ tool: key, status: 'error' })
      if (isAppError(error) && !error.code.startsWith('idempotency.') && !error.code.startsWith('session.')) {
        const failed: RecordedCall = {
          ...made,
          status: 'error',
          effective: false,
          result: null,
          problem: problemOf(error),
        }
        await recordFailure(caller, { snapshot, door, call: failed }).catch(() => undefined)
      }
      throw error
    }
  }

  const readOutput = ({ output, toolCalls }: ModelOutput, stepId: string): ParsedStep => {
    if ((output === undefined) === (toolCalls === undefined)) throw outputMissing()
    return output === undefined
      ? parseOpenAiToolCalls(toolCalls)
      : parseModelOutput(output, { callIdPrefix: stepId.replace('stp_', 'call_') })
  }

  const assistantMessage = ({ think, answer, calls }: ParsedStep): NewMessage => ({
    role: 'assistant',
    content: [think === null ? '' : `<think>${think}</think>`, answer ?? ''].filter(Boolean).join('\n'),
    toolCalls:
      calls.length === 0
        ? null
        : calls.map((parsed) => ({
            id: parsed.toolCallId,
            type: 'function' as const,
            function: { name: parsed.name, arguments: parsed.raw ?? JSON.stringify(parsed.arguments) },
          })),
  })

  type StepRun = {
    readonly sessionId: string
    readonly stepId: string
    readonly append: boolean
    readonly assistantMessageId: string | null
  }

  /** The effect of one call of a model with its record and, where asked for, its tool message: one transaction. */
  const applyCall = async (
    tx: TenantTransaction,
    {
      caller,
      step,
      ordinal,
      parsed,
      outcome,
    }: {
      caller: Caller
      step: StepRun
      ordinal: number
      parsed: ParsedCall
      outcome: PreparedTool | AppError
    },
  ): Promise<RecordedCall> => {
    const { sessionId, stepId } = step
    const effect = isAppError(outcome) ? null : await outcome.apply(tx)
    const recorded: RecordedCall = {
      toolCallId: parsed.toolCallId,
      name: parsed.name,
      arguments: parsed.arguments,
      status: effect === null ? 'error' : 'ok',
      effective: effect?.effective ?? false,
      result: effect?.result ?? null,
      problem: isAppError(outcome) ? problemOf(outcome) : null,
    }
    const session = await contexts.lockOpen(tx, caller, { sessionId, expected: null })
    const content = JSON.stringify(recorded.result ?? { error: recorded.problem })
    const needsMessage = step.append && effect?.hasAnswered !== true
    const message: NewMessage = { role: 'tool', content, name: parsed.name, toolCallId: parsed.toolCallId }
    const after = needsMessage ? (await contexts.appendTo(tx, session, [message])).session : session
    await recordCall(tx, { sessionId, stepId, ordinal, call: recorded, contextVersion: after.context.version })
    return recorded
  }

  const prepareCall = async (caller: Caller, step: StepRun, parsed: ParsedCall): Promise<PreparedTool | AppError> => {
    try {
      if (parsed.problem !== undefined) return unrunnableCall(parsed.problem)
      if (parsed.tool === null) throw brokenInvariant('A call of no tool carries no problem.')
      const args = parseModelArguments(parsed.tool, parsed.arguments)
      if (!args.ok) return invalidArguments(args.errors)
      const snapshot = await contexts.readSnapshot(caller, step.sessionId)
      const recall: RecallForm = step.append ? { form: 'result', toolCallId: parsed.toolCallId } : { form: 'none' }
      const run: ToolRun = { caller, snapshot, callerMessageId: step.assistantMessageId, recall }
      return await prepare(parsed.tool, run, args.value)
    } catch (error) {
      if (isAppError(error) && !caller.signal.aborted) return error
      throw error
    }
  }

  const runCall = async (
    caller: Caller,
    step: StepRun,
    { ordinal, parsed }: { ordinal: number; parsed: ParsedCall },
  ) => {
    const outcome = await prepareCall(caller, step, parsed)
    const apply = (given: PreparedTool | AppError) =>
      database.transact(
        caller.tenantId,
        (tx) => applyCall(tx, { caller, step, ordinal, parsed, outcome: given }),
        caller,
      )
    const recorded = await apply(outcome).catch((error: unknown) => {
      if (isAppError(outcome) || !isAppError(error) || error.status >= 500 || error.code.startsWith('session.'))
        throw error
      return apply(error)
    })
    if (parsed.tool !== null) onCall({ tool: parsed.tool, status: recorded.status })
    return recorded
  }

  /** The step's row and, where asked for, the assistant's message; once, however often the request comes. */
  const beginStep = async (
    caller: Caller,
    { snapshot, stepId, parsed, append }: { snapshot: Snapshot; stepId: string; parsed: ParsedStep; append: boolean },
  ): Promise<string | null> =>
    database.transact(caller.tenantId, async (tx) => {
      const { sessionId } = snapshot.session
      const session = await contexts.lockOpen(tx, caller, { sessionId, expected: null })
      const { think, answer, violations } = parsed
      const contextVersion = session.context.version
      const step = { sessionId, stepId, door: 'tool_calls' as const, think, answer, violations, contextVersion }
      const opened = await openStep(tx, step)
      if (opened === 'refused') throw sessionClosed()
      if (opened === 'exists' || !append) return null
      const { messages } = await contexts.appendTo(tx, session, [assistantMessage(parsed)])
      return messages[0]?.messageId ?? null
    })

  /** Everything that a model wrote in one turn, call after call. */
  const callAll = async (
    caller: Caller,
    { sessionId, output }: { sessionId: string; output: ModelOutput },
  ): Promise<StepAnswer> => {
    const snapshot = await contexts.readSnapshot(caller, sessionId)
    contexts.ensureOpen(snapshot.session)
    const key = caller.idempotency?.key
    const stepId =
      key === undefined
        ? createId('stp')
        : `stp_${createHash('sha256').update(`${sessionId}\n${key}`).digest('hex').slice(0, 32)}`
    const parsed = readOutput(output, stepId)
    return idempotency.runOnce<StepAnswer>(caller, {
      agentId: snapshot.session.agentId,
      operation: async (commit) => {
        const done =
          key === undefined
            ? []
            : await database.transact(caller.tenantId, (tx) => findCalls(tx, { sessionId, stepId }), caller)
        const assistantMessageId = await beginStep(caller, { snapshot, stepId, parsed, append: output.append })
        const step: StepRun = { sessionId, stepId, append: output.append, assistantMessageId }
        const recorded: RecordedCall[] = [...done]
        for (const [ordinal, call] of parsed.calls.entries())
          if (ordinal >= done.length) recorded.push(await runCall(caller, step, { ordinal, parsed: call }))
        onMemoryWrite()
        const after = await contexts.readSnapshot(caller, sessionId)
        return commit(async () => stepAnswer({ stepId, parsed, recorded, context: after.session.context }))
      },
    })
  }

  return { call, callAll }
}

const stepAnswer = ({
  stepId,
  parsed,
  recorded,
  context,
}: {
  stepId: string
  parsed: ParsedStep
  recorded: readonly RecordedCall[]
  context: ContextMeasure
}): StepAnswer => ({
  stepId,
  think: parsed.think,
  answer: parsed.answer,
  calls: recorded.map((call) => ({
    toolCallId: call.toolCallId,
    name: call.name,
    status: call.status,
    result: call.result,
    problem: call.problem as CallAnswer['problem'],
  })),
  messages: recorded.map((call) => ({
    role: 'tool' as const,
    tool_call_id: call.toolCallId,
    content: JSON.stringify(call.result ?? { error: call.problem }),
  })),
  violations: parsed.violations,
  context,
})
