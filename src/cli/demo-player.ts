/**
 * Plays the demo's story through the public API, beat by beat, and shows what each call did to long-term memory and to the
 * context. What did not come out as the story needs is collected, never thrown: the story goes on, and the command fails
 * at its end. An error of the service does end it.
 */
import { type Beat, demoBudgetTokens, demoPrompt, type FinalCheck, type Line } from './demo-conversation.ts'
import type { Screen } from './demo-screen.ts'
import { type HttpClient, HttpProblem } from './http-client.ts'
import type { ContextBody } from './wire-types.ts'

type BeatOf<Kind extends Beat['kind']> = Extract<Beat, { kind: Kind }>

export type PlayerDependencies = {
  readonly client: HttpClient
  readonly screen: Screen
  readonly agentId: string
  readonly signal: AbortSignal
  /** Between beats. */
  readonly pause: () => Promise<void>
}

const searchTopK = 3

const short = (text: string, length = 60): string => (text.length <= length ? text : `${text.slice(0, length - 2)} …`)

export const createDemoPlayer = async (dependencies: PlayerDependencies) => {
  const { client, screen, agentId, signal, pause } = dependencies
  const failures: string[] = []
  const memoryIds = new Map<string, string>()
  const contents = new Map<string, string>()
  const chatterIds = new Set<string>()
  const linesById = new Map<string, Line>()
  const system = { role: 'system', content: demoPrompt } as const
  const session = await client.createSession({ agent_id: agentId, budget_tokens: demoBudgetTokens, messages: [system] })
  const sessionId = session.session_id
  let context: ContextBody = session.context
  let peakTokens = context.tokens
  let calls = 0

  const expect = (isGood: boolean, failure: string): void => {
    if (isGood) return
    failures.push(failure)
    screen.verdict(false, failure)
  }

  const show = (next: ContextBody): void => {
    if (next.tokens !== context.tokens) screen.context('before', context)
    screen.context(next.tokens === context.tokens ? 'context' : 'after', next)
    context = next
    peakTokens = Math.max(peakTokens, next.tokens)
    calls += 1
  }

  const showMemory = async (before: number): Promise<void> => {
    const { memory_count: after } = await client.getAgent(agentId, { signal })
    screen.detail('memory', before === after ? `${after} memories` : `${before} -> ${after} memories`)
  }

  const countMemories = async (): Promise<number> => (await client.getAgent(agentId, { signal })).memory_count

  const memoryIdOf = (fact: string): string => {
    const memoryId = memoryIds.get(fact)
    if (memoryId === undefined) throw new Error(`The story names "${fact}" before it is added.`)
    return memoryId
  }

  const play: { readonly [Kind in Beat['kind']]: (beat: BeatOf<Kind>) => Promise<void> } = {
    day: async ({ title }) => {
      screen.heading(title)
      if (linesById.size === 0) return
      screen.call('reset', 'a new day: the context is emptied', 'long-term memory stays, and the prompt')
      await client.resetContext(sessionId)
      const { version, tokens, budget_tokens, pressure } = await client.getContext(sessionId)
      expect(tokens < context.tokens, 'the reset did not shorten the context')
      show({ version, tokens, budget_tokens, pressure })
      await showMemory(await countMemories())
      screen.blank()
    },

    say: async ({ lines }) => {
      const messages = lines.map(({ role, content }) => ({ role, content }))
      const answer = await client.appendMessages(sessionId, messages)
      lines.forEach((line, index) => {
        const messageId = answer.messages[index]?.message_id
        if (messageId !== undefined) linesById.set(messageId, line)
        if (messageId !== undefined && line.chatter) chatterIds.add(messageId)
        screen.say(line)
      })
      context = answer.context
      peakTokens = Math.max(peakTokens, context.tokens)
    },

    add: async ({ fact, content, memoryType, why }) => {
      const before = await countMemories()
      screen.call('ADD', content, why)
      const { result, context: next } = await client.callTool(sessionId, 'add_memory', {
        content,
        memory_type: memoryType,
      })
      memoryIds.set(fact, result.memory_id)
      contents.set(result.memory_id, content)
      if (result.duplicate_of) screen.detail('near', 'a memory that says nearly the same is there already')
      await showMemory(before)
      show(next)
      expect((await countMemories()) === before + 1, `ADD of "${fact}" did not add one memory`)
    },

    update: async ({ fact, content, why }) => {
      const memoryId = memoryIdOf(fact)
      const old = contents.get(memoryId) ?? ''
      screen.call('UPDATE', content, why)
      const { result, context: next } = await client.callTool(sessionId, 'update_memory', {
        memory_id: memoryId,
        content,
      })
      contents.set(memoryId, content)
      screen.detail('was', old)
      screen.detail('memory', `same memory, version ${result.version}; the old one is kept as history`)
      show(next)
      expect(result.version >= 2, `UPDATE of "${fact}" made no new version`)
    },

    delete: async ({ fact, why }) => {
      const memoryId = memoryIdOf(fact)
      const before = await countMemories()
      screen.call('DELETE', contents.get(memoryId) ?? fact, why)
      const args = { memory_id: memoryId, confirmation: true }
      const { context: next } = await client.callTool(sessionId, 'delete_memory', args)
      await showMemory(before)
      show(next)
      const found = await client.getMemory(agentId, memoryId).catch((error: unknown) => {
        if (error instanceof HttpProblem && error.status === 404) return null
        throw error
      })
      expect(found === null, `"${fact}" can still be read after DELETE`)
    },

    retrieve: async ({ query, topK, expected, why }) => {
      screen.call('RETRIEVE', query, why)
      const { result, context: next } = await client.callTool(sessionId, 'retrieve_memory', { query, top_k: topK })
      for (const { content, score } of result.memories) screen.detail(score.toFixed(2), content)
      if (result.already_in_context.length > 0) {
        screen.detail('known', `${result.already_in_context.length} in the context already, not shown twice`)
      }
      show(next)
      const shown = new Set([...result.memories.map((memory) => memory.memory_id), ...result.already_in_context])
      for (const fact of expected) expect(shown.has(memoryIdOf(fact)), `RETRIEVE did not find "${fact}"`)
    },

    filter: async ({ criteria, why }) => {
      screen.call('FILTER', criteria, why)
      const { result, context: next } = await client.callTool(sessionId, 'filter_context', { criteria })
      for (const { message_id: messageId, similarity } of result.removed) {
        screen.detail(similarity.toFixed(2), short(linesById.get(messageId)?.content ?? messageId, 80))
      }
      const right = result.removed.filter(({ message_id: messageId }) => chatterIds.has(messageId)).length
      const wrong = result.removed.length - right
      screen.detail(
        'removed',
        `${right} of ${chatterIds.size} asides, ${wrong} other messages (threshold ${result.threshold.toFixed(2)})`,
      )
      show(next)
      expect(right > 0, 'FILTER removed none of the asides')
    },

    summary: async ({ span, why }) => {
      screen.call('SUMMARY', span, why)
      const { result, context: next } = await client.callTool(sessionId, 'summary_context', { span })
      for (const line of result.summary.split('\n')) screen.detail('|', line)
      screen.detail(
        'replaced',
        `${result.replaced_message_ids.length} messages by one; written by: ${result.written_by}`,
      )
      show(next)
      expect(result.tokens_after < result.tokens_before, 'SUMMARY did not shorten the context')
    },
  }

  const playBeat = <Kind extends Beat['kind']>(kind: Kind, beat: BeatOf<Kind>): Promise<void> => play[kind](beat)

  const check = async ({ question, expected, gone }: FinalCheck): Promise<void> => {
    const search = { query: question, top_k: searchTopK, mode: 'hybrid' } as const
    const { results } = await client.searchMemories(agentId, search, { signal })
    const text = results.map(({ memory }) => memory.content).join('\n')
    const missing = expected.filter((part) => !text.includes(part))
    const left = gone.filter((part) => text.includes(part))
    const isGood = missing.length === 0 && left.length === 0
    const parts = [
      ...expected.map((part) => `${missing.includes(part) ? 'MISSING' : 'found'} "${part}"`),
      ...gone.map((part) => `${left.includes(part) ? 'STILL THERE' : 'gone'} "${part}"`),
    ]
    const line = `${question} ${parts.join(', ')}`
    if (isGood) screen.verdict(true, line)
    expect(isGood, line)
  }

  return {
    playAll: async (beats: readonly Beat[]): Promise<void> => {
      for (const beat of beats) {
        await playBeat(beat.kind, beat)
        await pause()
      }
    },
    checkAll: async (checks: readonly FinalCheck[]): Promise<void> => {
      for (const one of checks) await check(one)
    },
    /** What the story took, for the closing lines. */
    balance: async () => {
      const { data } = await client.listMessages(sessionId)
      const said = data.filter(({ message_id: messageId }) => linesById.has(messageId))
      return {
        messages: linesById.size,
        saidTokens: said.reduce((sum, { tokens }) => sum + tokens, 0),
        peakTokens,
        context,
        calls,
        memories: await countMemories(),
      }
    },
    failures,
  }
}
