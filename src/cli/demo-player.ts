/** Plays the demo's story beat by beat, and then asks long-term memory what it holds. */

import type { Beat } from './demo-beats.ts'
import { playDay, playFilter, playSay, playSummary } from './demo-context-beats.ts'
import type { FinalCheck } from './demo-conversation.ts'
import { playAdd, playDelete, playRetrieve, playUpdate } from './demo-memory-beats.ts'
import { count } from './demo-screen.ts'
import type { Stage } from './demo-stage.ts'

/** The answer is wanted among the first; what must be gone is looked for in all that the search can give. */
const foundAmong = 3
const searchTopK = 100

export const playBeat = (stage: Stage, beat: Beat): Promise<void> => {
  switch (beat.kind) {
    case 'day':
      return playDay(stage, beat)
    case 'say':
      return playSay(stage, beat)
    case 'add':
      return playAdd(stage, beat)
    case 'update':
      return playUpdate(stage, beat)
    case 'delete':
      return playDelete(stage, beat)
    case 'retrieve':
      return playRetrieve(stage, beat)
    case 'filter':
      return playFilter(stage, beat)
    case 'summary':
      return playSummary(stage, beat)
  }
}

/** One question to memory itself, past the conversation. */
export const playCheck = async (stage: Stage, { question, expected, gone }: FinalCheck): Promise<void> => {
  const search = { query: question, top_k: searchTopK, mode: 'hybrid' } as const
  const { results } = await stage.client.searchMemories(stage.agentId, search, { signal: stage.signal })
  const textOf = (count: number) =>
    results
      .slice(0, count)
      .map(({ memory }) => memory.content)
      .join('\n')
  const [best, all] = [textOf(foundAmong), textOf(searchTopK)]
  const parts = [
    ...expected.map((part) => ({ isGood: best.includes(part), good: `found "${part}"`, bad: `MISSING "${part}"` })),
    ...gone.map((part) => ({ isGood: !all.includes(part), good: `gone "${part}"`, bad: `STILL THERE "${part}"` })),
  ]
  const isGood = parts.every((part) => part.isGood)
  const line = `${question} ${parts.map((part) => (part.isGood ? part.good : part.bad)).join(', ')}`
  if (isGood) stage.screen.verdict(true, line)
  stage.expect(isGood, line)
}

/** What the story took and what it was for: the closing lines, all of them counted. */
export const closingTexts = async (stage: Stage, checks: readonly FinalCheck[]): Promise<readonly string[]> => {
  const { context, peakTokens, calls } = stage.measure()
  const lines = [...stage.lines.values()]
  const said = lines.reduce((sum, { tokens }) => sum + tokens, 0)
  const gone = checks.flatMap((check) => check.gone)
  const outdated = lines.filter(({ content }) => gone.some((part) => content.includes(part))).length
  const limit = context.budget_tokens
  return [
    `Room: ${lines.length} messages with ${count(said)} tokens were said over three days, and the context has room for ` +
      `${count(limit)}. With FILTER and SUMMARY it held ${count(peakTokens)} at its fullest, and nothing was lost: every ` +
      'message can still be listed, and every edit undone.',
    'Memory: each day began with an empty context, so without a memory every question about an earlier day would have ' +
      `gone unanswered. ${await stage.countMemories()} memories answered them.`,
    `Truth: a log would not do. ${outdated} of the messages say what is no longer true or should be forgotten ` +
      `(${gone.join(', ')}), and a search of the log would find them. UPDATE and DELETE took them out of memory.`,
    `${calls} calls did that. Here a script made them; a trained policy decides on them by itself.`,
  ]
}
