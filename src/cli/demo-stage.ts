/**
 * What the demo's beats share: the session that they play in, what is known of its memories and messages, and the screen.
 * What does not come out as the story needs is collected, never thrown: the story goes on, and the command fails at its
 * end. An error of the service does end it.
 */
import type { Line } from './demo-beats.ts'
import { demoBudgetTokens, demoPrompt } from './demo-conversation.ts'
import type { Screen } from './demo-screen.ts'
import type { HttpClient } from './http-client.ts'
import type { ContextBody, StoredMessageBody } from './wire-types.ts'

export type StageDependencies = {
  readonly client: HttpClient
  readonly screen: Screen
  readonly agentId: string
  readonly signal: AbortSignal
}

export type Stage = Awaited<ReturnType<typeof createDemoStage>>

export const createDemoStage = async ({ client, screen, agentId, signal }: StageDependencies) => {
  const messages = [{ role: 'system', content: demoPrompt }] as const
  const session = await client.createSession({ agent_id: agentId, budget_tokens: demoBudgetTokens, messages })
  const memories = new Map<string, { memoryId: string; content: string }>()
  const lines = new Map<string, Line & { tokens: number }>()
  const failures: string[] = []
  let context: ContextBody = session.context
  let peakTokens = context.tokens
  let calls = 0

  const setContext = (next: ContextBody) => {
    context = next
    peakTokens = Math.max(peakTokens, next.tokens)
  }
  const countMemories = async () => (await client.getAgent(agentId, { signal })).memory_count

  return {
    client,
    screen,
    agentId,
    signal,
    sessionId: session.session_id,
    /** By the story's name for them. */
    memories,
    /** By message id. */
    lines,
    failures,
    countMemories,
    measure: () => ({ context, peakTokens, calls }),

    expect: (isGood: boolean, failure: string): void => {
      if (isGood) return
      failures.push(failure)
      screen.verdict(false, failure)
    },

    memoryOf: (fact: string) => {
      const memory = memories.get(fact)
      if (memory === undefined) throw new Error(`The story names "${fact}" before it is added.`)
      return memory
    },

    hear: (line: Line, stored: StoredMessageBody | undefined): void => {
      if (stored !== undefined) lines.set(stored.message_id, { ...line, tokens: stored.tokens })
      screen.say(line)
    },

    setContext,

    /** The context as a call left it, beside what it was, and what could not take part in the call. */
    showContext: (next: ContextBody, degraded: readonly string[] = []): void => {
      if (degraded.length > 0) screen.detail('degraded', `${degraded.join(', ')} did not take part`)
      if (next.tokens === context.tokens) screen.context('context', next)
      else {
        screen.context('before', context)
        screen.context('after', next)
      }
      setContext(next)
      calls += 1
    },

    showMemories: async (before: number): Promise<number> => {
      const after = await countMemories()
      screen.detail('memory', before === after ? `${after} memories` : `${before} -> ${after} memories`)
      return after
    },
  }
}
