/** What the retrieval evaluation asks of any data set: memories to store, questions, and which memories answer them. */

/** The body of addMemory, as far as a data set fills it. */
export type MemoryInput = {
  readonly content: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly occurred_at?: string
  readonly source?: { readonly source_id: string; readonly position: number }
}

/** `evidenceId` is the data set's own name for it, unique within a task. */
export type EvidenceMemory = { readonly evidenceId: string; readonly memory: MemoryInput }

export type RetrievalQuestion = {
  readonly questionId: string
  readonly question: string
  readonly category: string
  /** At least one, without repeats. */
  readonly goldIds: readonly string[]
}

/** One agent's memories and the questions asked of that agent alone. */
export type RetrievalTask = {
  /** Tasks of one set are averaged together: `locomo-dialogue`, `hotpotqa-paragraph`, … */
  readonly set: string
  /** Within the set: the conversation, or `pooled`. */
  readonly name: string
  readonly memories: readonly EvidenceMemory[]
  readonly questions: readonly RetrievalQuestion[]
}

export const withoutSource = (task: RetrievalTask): RetrievalTask => ({
  ...task,
  memories: task.memories.map(({ evidenceId, memory: { source: _, ...memory } }) => ({ evidenceId, memory })),
})

/** At most `countMax` items, evenly spread over the list, in its order. */
export const spread = <T>(items: readonly T[], countMax: number): readonly T[] =>
  items.length <= countMax
    ? items
    : items.filter(
        (_, index) =>
          Math.floor(((index + 1) * countMax) / items.length) > Math.floor((index * countMax) / items.length),
      )

/**
 * At most `countMax` questions over all tasks: each task gives in proportion to what it has, from its whole length.
 * Tasks that are left without a question are dropped.
 */
export const limitQuestions = (tasks: readonly RetrievalTask[], countMax: number): readonly RetrievalTask[] => {
  const chosen = new Set(
    spread(
      tasks.flatMap((task) => task.questions),
      countMax,
    ),
  )
  return tasks
    .map((task) => ({ ...task, questions: task.questions.filter((question) => chosen.has(question)) }))
    .filter((task) => task.questions.length > 0)
}
