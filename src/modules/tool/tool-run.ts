/**
 * What a tool is made of beside its definition. `prepare` does the slow part (model, embedder, index) with no
 * transaction open; `apply` is the effect, inside the one short transaction that also records the call.
 */
import type { TenantTransaction } from '../../ports/database.ts'
import type { Caller } from '../../shared/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import type { ContextService } from '../context/context.service.ts'
import type { StoredSession } from '../session/session.repository.ts'
import type { ToolArguments, ToolKey } from './tool-parameters.ts'

/**
 * How a RETRIEVE enters the context: as a pair of call and result that the service makes up (`pair`), as the result of a
 * call that stands in the context (`result`), or not at all, since the client appends it (`none`).
 */
export type RecallForm =
  | { readonly form: 'pair' }
  | { readonly form: 'result'; readonly toolCallId: string }
  | { readonly form: 'none' }

/**
 * What the model that called reads: the session's context, so that what stands there is not told again, or nothing but
 * the answer, since its client keeps a conversation of its own.
 */
export type RunReader = 'context' | 'answer'

export type ToolRun = {
  readonly caller: Caller
  /** As it was when the call began. */
  readonly session: StoredSession
  /** The assistant message that makes the call, when it stands in the context. */
  readonly callerMessageId: string | null
  readonly recall: RecallForm
  readonly reader: RunReader
}

export type ToolEffect = {
  readonly result: Readonly<Record<string, unknown>>
  /** Did memory or context change? */
  readonly effective: boolean
  /** The session after the call, when the call changed its context. */
  readonly session: StoredSession | null
  /** True when the effect put the call's result into the context itself. */
  readonly hasAnswered?: boolean
}

/** Where the effect takes place: the session under its lock, and the place of the call's step among its steps. */
export type EffectPlace = { readonly session: StoredSession; readonly stepOrder: number }

export type PreparedTool = {
  readonly degraded: readonly string[]
  /** Does the effect write memories of the session's agent, whose row it then needs? */
  readonly writesMemory: boolean
  apply(tx: TenantTransaction, place: EffectPlace): Promise<ToolEffect>
}

export type Tools = { readonly [Key in ToolKey]: (run: ToolRun, args: ToolArguments[Key]) => Promise<PreparedTool> }

/** What running a call takes, by whichever door it comes. */
export type ToolRunner = {
  readonly contexts: ContextService
  readonly tools: Tools
  readonly onCall: (call: { readonly tool: ToolKey; readonly status: 'ok' | 'error' }) => void
}

/** How often a call is prepared whose messages others edit all the while; then it is told so. */
const preparationsMax = 3

/** Prepares and applies, and prepares again where the context moved from under the plan. */
export const untilApplied = async <Prepared, Applied>(
  prepare: () => Promise<Prepared>,
  apply: (prepared: Prepared) => Promise<Applied>,
): Promise<Applied> => {
  for (let tries = 1; ; tries += 1) {
    const prepared = await prepare()
    try {
      return await apply(prepared)
    } catch (error) {
      if (tries >= preparationsMax || !isAppError(error, 'context.version_conflict')) throw error
    }
  }
}

export const prepareTool = <Key extends ToolKey>(
  tools: Tools,
  { key, run, args }: { readonly key: Key; readonly run: ToolRun; readonly args: ToolArguments[Key] },
): Promise<PreparedTool> => tools[key](run, args)
