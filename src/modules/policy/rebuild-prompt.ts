/** The prompt of a recorded step, from what the step says that it was composed of. */
import type { ChatTool } from '../../ports/language-model.ts'
import type { PromptSource } from '../trajectory/trajectory-types.ts'
import { composePrompt, type Prompt } from './compose-prompt.ts'
import { promptVersion, type Situation } from './policy-prompt.ts'

/** Null when the step was prompted with texts of another version: those are no longer known. */
export const rebuildPrompt = ({ clientTools, messages, ...source }: PromptSource): Prompt | null => {
  if (source.promptVersion !== promptVersion) return null
  const situation = source.situation as Situation
  const { tokens, budgetTokens } = situation
  const context = { version: 0, nextSequence: 0, tokens, budgetTokens, messages }
  return composePrompt(context, { ...situation, extraTools: (clientTools ?? []) as readonly ChatTool[] })
}
