/** The story's days and talk, and its calls that tend the context: the reset, FILTER and SUMMARY. */
import { cutText } from '../shared/cut-text.ts'
import type { BeatOf } from './demo-beats.ts'
import type { Stage } from './demo-stage.ts'

/** A day begins with an empty context, but for the first. */
export const playDay = async (stage: Stage, { title }: BeatOf<'day'>): Promise<void> => {
  const { client, screen, sessionId } = stage
  screen.heading(title)
  if (stage.lines.size === 0) return
  screen.call('reset', 'a new day: the context is emptied', 'long-term memory stays, and so does the system prompt')
  const before = stage.measure().context.tokens
  await client.resetContext(sessionId)
  const { version, tokens, budget_tokens, pressure } = await client.getContext(sessionId)
  await stage.showMemories(await stage.countMemories())
  stage.showContext({ version, tokens, budget_tokens, pressure })
  stage.expect(tokens < before, 'the reset did not shorten the context')
}

export const playSay = async (stage: Stage, { lines }: BeatOf<'say'>): Promise<void> => {
  const messages = lines.map(({ role, content }) => ({ role, content }))
  const answer = await stage.client.appendMessages(stage.sessionId, messages)
  stage.screen.blank()
  lines.forEach((line, index) => {
    stage.hear(line, answer.messages[index])
  })
  stage.setContext(answer.context)
}

const shownCharacters = 80

const short = (text: string): string =>
  text.length <= shownCharacters ? text : `${cutText(text, shownCharacters - 2)} …`

export const playFilter = async (stage: Stage, { criteria, why }: BeatOf<'filter'>): Promise<void> => {
  const { client, screen, sessionId, lines } = stage
  screen.call('FILTER', criteria, why)
  const { result, context, degraded } = await client.callTool(sessionId, 'filter_context', { criteria })
  for (const { message_id: messageId, similarity } of result.removed) {
    screen.detail(similarity.toFixed(2), short(lines.get(messageId)?.content ?? messageId))
  }
  const asides = [...lines.values()].filter(({ chatter }) => chatter).length
  const right = result.removed.filter(({ message_id: messageId }) => lines.get(messageId)?.chatter).length
  const others = result.removed.length - right
  const threshold = `from a similarity of ${result.threshold.toFixed(2)} on`
  screen.detail('removed', `${right} of ${asides} asides and ${others} other messages, ${threshold}`)
  stage.showContext(context, degraded)
  stage.expect(right > 0, 'FILTER removed none of the asides')
}

export const playSummary = async (stage: Stage, { span, why }: BeatOf<'summary'>): Promise<void> => {
  const { client, screen, sessionId } = stage
  screen.call('SUMMARY', span, why)
  const { result, context, degraded } = await client.callTool(sessionId, 'summary_context', { span })
  for (const line of result.summary.split('\n')) screen.detail('|', line)
  const writer = { model: 'the model', extractive: 'extraction, as there is no model' }[result.written_by]
  screen.detail('replaced', `${result.replaced_message_ids.length} messages by one, written by ${writer}`)
  stage.showContext(context, degraded)
  stage.expect(result.tokens_after < result.tokens_before, 'SUMMARY did not shorten the context')
}
