import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { DataError } from '../../../src/evaluation/data-file.ts'
import {
  hotpotqaParagraphTask,
  hotpotqaSentenceTask,
  parseHotpotqa,
  readHotpotqa,
} from '../../../src/evaluation/hotpotqa.ts'
import {
  locomoDialogueTask,
  locomoSessionTask,
  parseLocomo,
  parseSessionTime,
  readLocomo,
} from '../../../src/evaluation/locomo.ts'
import { limitQuestions, type RetrievalTask, spread, withoutSource } from '../../../src/evaluation/retrieval-task.ts'

const dataDir = fileURLToPath(new URL('../../fixtures/evaluation', import.meta.url))

const firstConversation = async () => {
  const [conversation] = await readLocomo(dataDir)
  if (conversation === undefined) throw new Error('the fixture has a conversation')
  return conversation
}

describe('LoCoMo', () => {
  it('reads a session time on both sides of noon and midnight', () => {
    expect(parseSessionTime('1:56 pm on 8 May, 2023')).toBe('2023-05-08T13:56:00.000Z')
    expect(parseSessionTime('12:09 am on 13 September, 2023')).toBe('2023-09-13T00:09:00.000Z')
    expect(parseSessionTime('12:30 pm on 1 May, 2024')).toBe('2024-05-01T12:30:00.000Z')
    expect(() => parseSessionTime('8 May 2023')).toThrow(DataError)
  })

  it('makes each turn a memory with its speaker, image, moment and place in the dialogue', async () => {
    const { memories } = locomoDialogueTask(await firstConversation())
    expect(memories.map(({ evidenceId }) => evidenceId)).toEqual(['D1:1', 'D1:2', 'D1:3', 'D2:1', 'D2:2'])
    expect(memories[0]?.memory).toEqual({
      content: 'Ada: Look what I made. [image: a blue bowl]',
      metadata: { dia_id: 'D1:1' },
      occurred_at: '2023-12-30T13:56:00.000Z',
      source: { source_id: 'session_1', position: 0 },
    })
    expect(memories[4]?.memory.source).toEqual({ source_id: 'session_2', position: 1 })
  })

  it('reads evidence however it is written, once each, and leaves out questions without', async () => {
    const { questions } = locomoDialogueTask(await firstConversation())
    expect(questions.map(({ goldIds }) => goldIds)).toEqual([['D1:1'], ['D1:2', 'D1:3'], ['D2:1'], ['D9:1']])
    expect(questions.map(({ category }) => category)).toEqual(['single-hop', 'multi-hop', 'temporal', 'adversarial'])
    expect(new Set(questions.map(({ questionId }) => questionId)).size).toBe(4)
  })

  it('joins a session into one memory at session level, and asks for the sessions of the evidence', async () => {
    const { memories, questions } = locomoSessionTask(await firstConversation())
    expect(memories.map(({ evidenceId }) => evidenceId)).toEqual(['D1', 'D2'])
    expect(memories[1]?.memory.content).toBe(
      'Ada: The kiln is repaired at last.\nBen: Then you can fire the blue bowls.',
    )
    expect(questions[1]?.goldIds).toEqual(['D1'])
  })

  it('names the place of what does not look as expected', () => {
    expect(() => parseLocomo('[{"sample_id": 3}]', 'locomo.json')).toThrow(/locomo\.json.*\/0/)
    expect(() => parseLocomo('{', 'locomo.json')).toThrow(/locomo\.json is not JSON/)
    const noTime = '[{"sample_id":"c","qa":[],"conversation":{"session_1":[]}}]'
    expect(() => parseLocomo(noTime, 'locomo.json')).toThrow(/session_1_date_time/)
  })
})

describe('HotpotQA', () => {
  it('pools the paragraphs of all questions, each title once', async () => {
    const { memories, questions } = hotpotqaParagraphTask(await readHotpotqa(dataDir))
    expect(memories.map(({ evidenceId }) => evidenceId)).toEqual(['Ferne lighthouse', 'Iris Holm', 'Tern', 'Odd Tower'])
    expect(memories[0]?.memory.content).toBe(
      'Ferne lighthouse\nThe Ferne lighthouse was built by Iris Holm. It is 31 metres high.',
    )
    expect(questions.map(({ goldIds }) => goldIds)).toEqual([
      ['Ferne lighthouse', 'Iris Holm'],
      ['Ferne lighthouse', 'Odd Tower'],
    ])
  })

  it('makes each sentence that is not blank a memory with its title and place', async () => {
    const { memories, questions } = hotpotqaSentenceTask(await readHotpotqa(dataDir))
    expect(memories.map(({ evidenceId }) => evidenceId)).toEqual([
      'Ferne lighthouse#0',
      'Ferne lighthouse#1',
      'Iris Holm#0',
      'Iris Holm#1',
      'Tern#0',
      'Odd Tower#0',
    ])
    expect(memories[3]?.memory).toEqual({
      content: 'Iris Holm: She was born in Aldmouth.',
      metadata: { title: 'Iris Holm', sentence: 1 },
      source: { source_id: 'Iris Holm', position: 1 },
    })
    expect(questions[1]?.goldIds).toEqual(['Ferne lighthouse#1', 'Odd Tower#0'])
  })

  it('reads an array as well as lines, and names the line at fault', () => {
    const row = '{"_id":"a","question":"q","supporting_facts":[],"context":[]}'
    expect(parseHotpotqa(`[${row}]`, 'h.json')).toEqual(parseHotpotqa(row, 'h.jsonl'))
    expect(() => parseHotpotqa(`${row}\n\n{oops`, 'h.jsonl')).toThrow(/h\.jsonl, line 3, is not JSON/)
  })
})

describe('the data folder', () => {
  it('is said to lack a folder, or a file in it, by name', async () => {
    await expect(readLocomo('/nowhere')).rejects.toThrow(/folder \/nowhere\/locomo is missing.*snap-research/)
    await expect(readHotpotqa(`${dataDir}/locomo`)).rejects.toThrow(/hotpotqa is missing/)
  })
})

describe('choosing questions', () => {
  const task = (name: string, count: number): RetrievalTask => ({
    set: 'set',
    name,
    memories: [],
    questions: Array.from({ length: count }, (_, index) => ({
      questionId: `${name}${index}`,
      question: 'q',
      category: 'c',
      goldIds: ['g'],
    })),
  })

  it('takes as many as asked for, evenly from the whole length', () => {
    expect(spread([0, 1, 2, 3, 4, 5, 6, 7], 4)).toEqual([1, 3, 5, 7])
    expect(spread([0, 1, 2], 5)).toEqual([0, 1, 2])
    for (const count of [1, 2, 3, 7, 10])
      expect(
        spread(
          Array.from({ length: 10 }, (_, i) => i),
          count,
        ),
      ).toHaveLength(count)
  })

  it('takes from each task in proportion, and drops a task that gives none', () => {
    const chosen = limitQuestions([task('a', 30), task('b', 10), task('c', 0)], 8)
    expect(chosen.map(({ name, questions }) => [name, questions.length])).toEqual([
      ['a', 6],
      ['b', 2],
    ])
  })

  it('takes the source off and leaves everything else of a memory', async () => {
    const original = locomoDialogueTask(await firstConversation())
    const bare = withoutSource(original)
    expect(bare.memories.every(({ memory }) => !('source' in memory))).toBe(true)
    expect(bare.memories[0]?.memory.occurred_at).toBe(original.memories[0]?.memory.occurred_at)
  })
})
