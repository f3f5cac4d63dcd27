import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { locomoDialogueTask, readLocomo } from '../../../src/evaluation/locomo.ts'
import type { RetrievalClient } from '../../../src/evaluation/retrieval-client.ts'
import { retrievalReport } from '../../../src/evaluation/retrieval-report.ts'
import { type AgentTask, createRetrievalRunner, eraseAgents } from '../../../src/evaluation/retrieval-runner.ts'
import { compareArms, outcomeLine, summarizeRetrieval } from '../../../src/evaluation/retrieval-summary.ts'
import { type MemoryInput, withoutSource } from '../../../src/evaluation/retrieval-task.ts'

const dataDir = fileURLToPath(new URL('../../fixtures/evaluation', import.meta.url))
const wordsOf = (text: string) => new Set(text.toLowerCase().match(/[a-z0-9]+/g) ?? [])

/** A service that ranks by shared words; its index lags for as many polls as it is told. */
const makeService = ({ lagPolls = 0, refuses = '' }: { lagPolls?: number; refuses?: string } = {}) => {
  const agents = new Map<string, { memory_id: string; content: string; tokens: number }[]>()
  const seen: { agentId: string; memories: readonly MemoryInput[] }[] = []
  const erased: string[] = []
  let polls = 0
  const client: RetrievalClient = {
    addMemories: async (agentId, memories) => {
      seen.push({ agentId, memories })
      const stored = agents.get(agentId) ?? []
      agents.set(agentId, stored)
      return {
        results: memories.map(({ content }, index) => {
          const problem = { code: 'memory.refused', detail: 'no' }
          if (refuses !== '' && content.includes(refuses)) return { index, status: 'rejected' as const, problem }
          const memory = { memory_id: `${agentId}/mem_${stored.length}`, content, tokens: content.length }
          stored.push(memory)
          return { index, status: 'created' as const, memory }
        }),
      }
    },
    getAgent: async (agentId) => {
      polls += 1
      const lag = Math.max(0, lagPolls - polls + 1)
      return { agent_id: agentId, memory_count: 0, memory_tokens: 7, index_lag: lag }
    },
    searchMemories: async (agentId, { query, top_k: topK }) => {
      const words = wordsOf(query)
      const results = (agents.get(agentId) ?? [])
        .map((memory) => ({ memory, score: [...wordsOf(memory.content)].filter((word) => words.has(word)).length }))
        .filter(({ score }) => score > 0)
        .sort((one, other) => other.score - one.score)
        .slice(0, topK)
      return { results, degraded: [], elapsedMs: 3 }
    },
    eraseAgent: async (agentId) => {
      if (agentId === 'stuck') throw new Error('no')
      erased.push(agentId)
    },
  }
  return { client, seen, erased, polls: () => polls }
}

const makeTasks = async (): Promise<readonly AgentTask[]> =>
  (await readLocomo(dataDir)).map((conversation, index) => ({
    agentId: `agent-${index}`,
    arm: 'with_source',
    task: locomoDialogueTask(conversation),
  }))

const makeRunner = (client: RetrievalClient, indexStallMs = 1_000) => {
  const reports: string[] = []
  let timeMs = 0
  const runner = createRetrievalRunner({
    client,
    report: (label, unit, done, total) => reports.push(`${label} ${done}/${total} ${unit}`),
    signal: new AbortController().signal,
    sleep: async (ms) => {
      timeMs += ms
    },
    nowMs: () => timeMs,
    indexStallMs,
  })
  return { runner, reports }
}

describe('the retrieval runner', () => {
  it('stores every memory, waits for the index, and asks each question of its own agent alone', async () => {
    const service = makeService({ lagPolls: 3 })
    const { runner, reports } = makeRunner(service.client)
    const { outcomes, storedTokens } = await runner.run(await makeTasks(), ['hybrid'])
    expect(service.seen.map(({ agentId, memories }) => [agentId, memories.length])).toEqual([
      ['agent-0', 5],
      ['agent-1', 2],
    ])
    expect(service.polls()).toBeGreaterThan(2)
    expect(outcomes).toHaveLength(5)
    expect(outcomes.find(({ question }) => question.includes('honey'))).toMatchObject({
      name: 'small-2',
      rankedIds: ['D1:1', 'D1:2'].slice(0, 1),
      recall: { 5: 1, 10: 1, 20: 1 },
    })
    expect(storedTokens.get('agent-1')).toBe(7)
    expect(reports).toContain('storing 7/7 memories')
    expect(reports.at(-1)).toBe('asking, hybrid 5/5 questions')
  })

  it('stops when the service refuses a memory, rather than measure a smaller store', async () => {
    const { runner } = makeRunner(makeService({ refuses: 'kiln' }).client)
    await expect(runner.run(await makeTasks(), ['hybrid'])).rejects.toThrow(/D2:1.*memory\.refused/)
  })

  it('gives up on an index that stands still', async () => {
    const { client } = makeService()
    const standing: RetrievalClient = {
      ...client,
      getAgent: async (agentId) => ({ agent_id: agentId, memory_count: 0, memory_tokens: 0, index_lag: 4 }),
    }
    const { runner } = makeRunner(standing)
    await expect(runner.run(await makeTasks(), ['hybrid'])).rejects.toThrow(/has not moved for 1 s/)
  })

  it('erases every agent it can and says which it could not', async () => {
    const { client, erased } = makeService()
    const failures = await eraseAgents(client, ['a', 'stuck', 'b'], new AbortController().signal)
    expect(erased).toEqual(['a', 'b'])
    expect(failures).toEqual(['stuck: no'])
  })
})

describe('the summary', () => {
  const runBoth = async () => {
    const tasks = await makeTasks()
    const bare = tasks.map(({ agentId, task }) => ({
      agentId: `${agentId}-bare`,
      arm: 'without_source' as const,
      task: withoutSource(task),
    }))
    const { outcomes } = await makeRunner(makeService().client).runner.run([...tasks, ...bare], ['hybrid'])
    return outcomes
  }

  it('averages over questions, by conversation, by category and over halves', async () => {
    const outcomes = (await runBoth()).filter(({ arm }) => arm === 'with_source')
    const [summary, ...others] = summarizeRetrieval(outcomes)
    expect(others).toEqual([])
    expect(summary?.overall.questions).toBe(5)
    expect(summary?.overall.recall[20]).toBeCloseTo((1 + 1 + 1 + 0 + 1) / 5)
    expect(summary?.byName.map(({ name, questions }) => [name, questions])).toEqual([
      ['small-1', 4],
      ['small-2', 1],
    ])
    expect(summary?.byCategory.find(({ name }) => name === 'adversarial')?.recall[20]).toBe(0)
    expect(summary?.splits).toEqual([
      {
        left: ['small-1'],
        right: ['small-2'],
        leftRecall: expect.objectContaining({ 20: 0.75 }),
        rightRecall: expect.objectContaining({ 20: 1 }),
      },
    ])
  })

  it('compares the two arms question by question', async () => {
    const [comparison] = compareArms(await runBoth())
    expect(comparison).toMatchObject({ questions: 5, sameRanking: 5, gain: { 5: 0, 10: 0, 20: 0 } })
  })

  it('compares nothing when one arm was run', async () => {
    expect(compareArms((await runBoth()).filter(({ arm }) => arm === 'with_source'))).toEqual([])
  })

  it('says in the report what did not take part in a search', async () => {
    const outcomes = (await runBoth()).map((outcome) => ({ ...outcome, degraded: ['embedder'] }))
    expect(retrievalReport(summarizeRetrieval(outcomes), [])).toContain(
      'DEGRADED: embedder did not take part in 5 of 5',
    )
  })

  it('times a text only when the service had not embedded it before in the run', async () => {
    const outcomes = await runBoth()
    expect(outcomes.filter(({ isAskedBefore }) => isAskedBefore)).toHaveLength(5)
    const [first, again] = summarizeRetrieval(outcomes)
    expect(first?.searchMs).toMatchObject({ p50: 3 })
    expect(again?.searchMs).toBeNull()
    expect(retrievalReport(summarizeRetrieval(outcomes), [])).toContain('search ms: not shown')
  })

  it('prints in 100 columns', async () => {
    const outcomes = await runBoth()
    const lines = retrievalReport(summarizeRetrieval(outcomes), compareArms(outcomes)).split('\n')
    expect(lines.filter((line) => line.length > 100)).toEqual([])
  })

  it('writes one line of JSON a question with gold, ranking, recall and time', async () => {
    const [outcome] = await runBoth()
    if (outcome === undefined) throw new Error('there is an outcome')
    expect(JSON.parse(outcomeLine(outcome))).toMatchObject({
      set: 'locomo-dialogue',
      arm: 'with_source',
      gold: ['D1:1'],
      recall: { at_5: 1 },
      search_ms: 3,
    })
  })
})
