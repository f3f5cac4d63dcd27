/**
 * HotpotQA (Yang et al. 2018), distractor setting, pooled: the paragraphs of all chosen questions go into one store, so
 * each question's ten paragraphs hide among everyone else's. The evidence is the titles of the supporting facts at
 * paragraph level, and the sentences at sentence level.
 */
import { Type } from 'typebox'
import { checkData, parseJson, parseJsonLines, readDataFiles, uniqueBy } from './data-file.ts'
import type { EvidenceMemory, RetrievalTask } from './retrieval-task.ts'

const rowSchema = Type.Object({
  _id: Type.String(),
  question: Type.String(),
  type: Type.Optional(Type.String()),
  supporting_facts: Type.Array(Type.Tuple([Type.String(), Type.Integer()])),
  context: Type.Array(Type.Tuple([Type.String(), Type.Array(Type.String())])),
})

export type HotpotqaRow = {
  readonly questionId: string
  readonly question: string
  /** `bridge` or `comparison`. */
  readonly type: string
  readonly supportingFacts: readonly (readonly [title: string, sentence: number])[]
  readonly paragraphs: readonly (readonly [title: string, sentences: readonly string[]])[]
}

/** A JSON array, or one object a line. @throws DataError for another shape; `name` is the file's, for the message */
export const parseHotpotqa = (text: string, name: string): readonly HotpotqaRow[] => {
  const values = text.trimStart().startsWith('[') ? parseJson(text, name) : parseJsonLines(text, name)
  return checkData(Type.Array(rowSchema), values, name).map((row) => ({
    questionId: row._id,
    question: row.question,
    type: row.type ?? 'unknown',
    supportingFacts: row.supporting_facts,
    paragraphs: row.context,
  }))
}

const sentenceId = (title: string, index: number): string => `${title}#${index}`

/** Each paragraph once; the first of a title stays. */
const poolParagraphs = (rows: readonly HotpotqaRow[]): ReadonlyMap<string, readonly string[]> => {
  const pool = new Map<string, readonly string[]>()
  for (const [title, sentences] of rows.flatMap((row) => row.paragraphs)) {
    if (!pool.has(title)) pool.set(title, sentences)
  }
  return pool
}

const questionsOf = (rows: readonly HotpotqaRow[], goldIdOf: (title: string, sentence: number) => string) =>
  rows
    .filter((row) => row.supportingFacts.length > 0)
    .map(({ questionId, question, type, supportingFacts }) => ({
      questionId,
      question,
      category: type,
      goldIds: [...new Set(supportingFacts.map(([title, sentence]) => goldIdOf(title, sentence)))],
    }))

/** Each paragraph a memory. A paragraph is whole, so its source, where one is wanted, holds nothing but itself. */
export const hotpotqaParagraphTask = (rows: readonly HotpotqaRow[]): RetrievalTask => ({
  set: 'hotpotqa-paragraph',
  name: 'pooled',
  memories: [...poolParagraphs(rows)]
    .filter(([, sentences]) => sentences.length > 0)
    .map(([title, sentences]) => ({
      evidenceId: title,
      memory: {
        content: `${title}\n${sentences.join('')}`,
        metadata: { title },
        source: { source_id: title, position: 0 },
      },
    })),
  questions: questionsOf(rows, (title) => title),
})

const sentenceMemories = (title: string, sentences: readonly string[]): readonly EvidenceMemory[] =>
  sentences.flatMap((sentence, index) =>
    sentence.trim() === ''
      ? []
      : {
          evidenceId: sentenceId(title, index),
          memory: {
            content: `${title}: ${sentence.trim()}`,
            metadata: { title, sentence: index },
            source: { source_id: title, position: index },
          },
        },
  )

/** Each sentence a memory; its paragraph and place in it are its source. */
export const hotpotqaSentenceTask = (rows: readonly HotpotqaRow[]): RetrievalTask => ({
  set: 'hotpotqa-sentence',
  name: 'pooled',
  memories: [...poolParagraphs(rows)].flatMap(([title, sentences]) => sentenceMemories(title, sentences)),
  questions: questionsOf(rows, sentenceId),
})

/** All questions of `<dataDir>/hotpotqa/hotpot*dev_distractor*.json` or `.jsonl`. */
export const readHotpotqa = async (dataDir: string): Promise<readonly HotpotqaRow[]> => {
  const files = await readDataFiles(dataDir, {
    folder: 'hotpotqa',
    pattern: /^hotpot.*dev_distractor.*\.jsonl?$/,
    advice:
      'Put HotpotQA there, for instance as hotpotqa/hotpot_dev_distractor_v1.json (hotpotqa.github.io, CC BY-SA 4.0).',
  })
  const rows = files.flatMap(({ text, name }) => parseHotpotqa(text, name))
  return uniqueBy(rows, (row) => row.questionId)
}
