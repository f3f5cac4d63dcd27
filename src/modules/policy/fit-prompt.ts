/**
 * A prompt that the model's window holds together with an answer. The count of the session is an estimate of what the
 * server will count, so the server is asked when it is close. What does not fit is made to fit by the method's own
 * means: a SUMMARY of the whole context, recorded as a step like any other, before anything fails.
 */
import type { LanguageModel } from '../../ports/language-model.ts'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import type { Caller } from '../../shared/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import { inSlices } from '../../shared/yielding.ts'
import type { ContextService } from '../context/context.service.ts'
import type { Snapshot } from '../context/context-store.ts'
import type { ToolService } from '../tool/tool.service.ts'
import type { Prompt } from './compose-prompt.ts'
import { windowExceeded } from './policy.errors.ts'

/** Share of the window from which the estimate is not good enough. */
const closeShare = 0.6
/** A shorter answer than this is not worth asking for. */
const answerTokensMin = 128

export type FittedPrompt = { readonly prompt: Prompt; readonly snapshot: Snapshot }

export type FitOptions = {
  readonly model: LanguageModel
  readonly tokenizer: Tokenizer
  readonly contexts: ContextService
  readonly tools: ToolService
}

export const createPromptFitter = ({ model, tokenizer, contexts, tools }: FitOptions) => {
  const estimate = ({ messages, tools: offered }: Prompt): number =>
    messages.reduce((sum, message) => sum + tokenizer.countMessage({ ...message, toolCalls: message.tool_calls }), 0) +
    (offered.length === 0 ? 0 : tokenizer.countText(JSON.stringify(offered)))

  /** Tokens above what leaves room for an answer; 0 or less: it fits. */
  const excess = async (caller: Caller, prompt: Prompt): Promise<number> => {
    const count = () => model.countTokens({ ...prompt, tenantId: caller.tenantId }, { signal: caller.signal })
    // Asking anything is how the window becomes known.
    const counted = model.windowTokens === null ? await count() : null
    const { windowTokens } = model
    await inSlices(tokenizer.prepare(prompt.messages.map(({ content }) => content)), caller.signal)
    if (windowTokens === null || estimate(prompt) < windowTokens * closeShare) return 0
    return (counted ?? (await count())) - (windowTokens - answerTokensMin)
  }

  const summarizeAll = async (caller: Caller, sessionId: string): Promise<boolean> => {
    try {
      await tools.call(caller, { sessionId, key: 'summary_context', args: { span: 'all' }, door: 'policy' })
      return true
    } catch (error) {
      if (isAppError(error) && error.status === 422) return false
      throw error
    }
  }

  /** @throws AppError `context.window_exceeded` (422) when even a summary leaves no room */
  return async (
    caller: Caller,
    { sessionId, compose }: { readonly sessionId: string; readonly compose: (snapshot: Snapshot) => Prompt },
  ): Promise<FittedPrompt> => {
    for (let isSummarised = false; ; isSummarised = true) {
      const snapshot = await contexts.readSnapshot(caller, sessionId)
      const prompt = compose(snapshot)
      const over = await excess(caller, prompt)
      if (over <= 0) return { prompt, snapshot }
      const windowTokens = model.windowTokens ?? 0
      if (isSummarised || !(await summarizeAll(caller, sessionId)))
        throw windowExceeded(windowTokens - answerTokensMin + over, windowTokens)
    }
  }
}
