/**
 * LoCoMo (Maharana et al. 2024): long dialogues over many dated sessions, with questions and the turns that answer them.
 * At dialogue level each turn is a memory of the conversation's agent and the evidence is the turns; at session level
 * each session is one memory and the evidence is the sessions that those turns belong to.
 */
import { Type } from 'typebox'
import { checkData, DataError, parseJson, readDataFiles, uniqueBy } from './data-file.ts'
import type { EvidenceMemory, RetrievalQuestion, RetrievalTask } from './retrieval-task.ts'

const turnSchema = Type.Object({
  speaker: Type.String(),
  dia_id: Type.String(),
  text: Type.String(),
  blip_caption: Type.Optional(Type.String()),
})

const fileSchema = Type.Array(
  Type.Object({
    sample_id: Type.String(),
    conversation: Type.Record(Type.String(), Type.Unknown()),
    qa: Type.Array(
      Type.Object({
        question: Type.String(),
        category: Type.Integer(),
        evidence: Type.Optional(Type.Array(Type.String())),
      }),
    ),
  }),
)

export type LocomoTurn = {
  readonly turnId: string
  readonly speaker: string
  readonly text: string
  /** What the image that goes with the turn shows. */
  readonly caption: string | null
}

export type LocomoSession = {
  readonly sessionId: string
  /** RFC 3339; the data names no time zone, so UTC stands in. */
  readonly startedAt: string
  readonly turns: readonly LocomoTurn[]
}

export type LocomoConversation = {
  readonly conversationId: string
  readonly sessions: readonly LocomoSession[]
  /** Those with evidence; goldIds are turn ids such as `D8:6`. */
  readonly questions: readonly RetrievalQuestion[]
}

const categoryNames: ReadonlyMap<number, string> = new Map([
  [1, 'multi-hop'],
  [2, 'temporal'],
  [3, 'open-domain'],
  [4, 'single-hop'],
  [5, 'adversarial'],
])

const months = 'january february march april may june july august september october november december'.split(' ')

/** `1:56 pm on 8 May, 2023` as RFC 3339. @throws DataError for any other form */
export const parseSessionTime = (text: string): string => {
  const match = /^(\d{1,2}):(\d{2}) (am|pm) on (\d{1,2}) (\w+), (\d{4})$/i.exec(text.trim())
  const [, hour, minute, half, day, month, year] = match ?? []
  const monthIndex = months.indexOf(month?.toLowerCase() ?? '')
  if (match === null || monthIndex < 0)
    throw new DataError(`"${text}" is not a session's time such as "1:56 pm on 8 May, 2023".`)
  const hours = (Number(hour) % 12) + (half?.toLowerCase() === 'pm' ? 12 : 0)
  return new Date(Date.UTC(Number(year), monthIndex, Number(day), hours, Number(minute))).toISOString()
}

/** Evidence is written in several ways (`D8:6; D9:17`, `D:11:26`): what has the pattern counts, once. */
const evidenceIds = (evidence: readonly string[]): readonly string[] => [
  ...new Set(evidence.join(' ').match(/D\d+:\d+/g) ?? []),
]

const sessionsOf = (conversation: Readonly<Record<string, unknown>>, name: string): readonly LocomoSession[] =>
  Object.keys(conversation)
    .flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? [])
    .sort((one, other) => Number(one) - Number(other))
    .map((number) => {
      const sessionId = `session_${number}`
      const turns = checkData(Type.Array(turnSchema), conversation[sessionId], `${name}, ${sessionId},`)
      const time = checkData(Type.String(), conversation[`${sessionId}_date_time`], `${name}, ${sessionId}_date_time,`)
      return {
        sessionId,
        startedAt: parseSessionTime(time),
        turns: turns.map(({ dia_id, speaker, text, blip_caption }) => ({
          turnId: dia_id,
          speaker,
          text,
          caption: blip_caption ?? null,
        })),
      }
    })

/** @throws DataError for another shape; `name` is the file's, for the message */
export const parseLocomo = (text: string, name: string): readonly LocomoConversation[] =>
  checkData(fileSchema, parseJson(text, name), name).map(({ sample_id, conversation, qa }) => ({
    conversationId: sample_id,
    sessions: sessionsOf(conversation, `${name}, ${sample_id}`),
    questions: qa.flatMap(({ question, category, evidence }, index) => {
      const goldIds = evidenceIds(evidence ?? [])
      if (goldIds.length === 0) return []
      const categoryName = categoryNames.get(category) ?? `category ${category}`
      return { questionId: `${sample_id}/${index}`, question, category: categoryName, goldIds }
    }),
  }))

const turnText = ({ speaker, text, caption }: LocomoTurn): string =>
  `${speaker}: ${text}${caption === null ? '' : ` [image: ${caption}]`}`

const dialogueMemories = ({ sessionId, startedAt, turns }: LocomoSession): readonly EvidenceMemory[] =>
  turns.map((turn, position) => ({
    evidenceId: turn.turnId,
    memory: {
      content: turnText(turn),
      metadata: { dia_id: turn.turnId },
      occurred_at: startedAt,
      source: { source_id: sessionId, position },
    },
  }))

/** Each turn a memory; its session and place in it are its source. */
export const locomoDialogueTask = ({ conversationId, sessions, questions }: LocomoConversation): RetrievalTask => ({
  set: 'locomo-dialogue',
  name: conversationId,
  memories: sessions.flatMap(dialogueMemories),
  questions,
})

/** Turn ids begin with the session's number: `D8:6` belongs to `D8`. */
const sessionEvidence = (turnId: string): string => turnId.split(':')[0] ?? turnId

/** Each session a memory, without a source: sessions are whole texts. */
export const locomoSessionTask = ({ conversationId, sessions, questions }: LocomoConversation): RetrievalTask => ({
  set: 'locomo-session',
  name: conversationId,
  memories: sessions.map(({ sessionId, startedAt, turns }) => ({
    evidenceId: `D${sessionId.slice('session_'.length)}`,
    memory: { content: turns.map(turnText).join('\n'), metadata: { session: sessionId }, occurred_at: startedAt },
  })),
  questions: questions.map((question) => ({
    ...question,
    goldIds: [...new Set(question.goldIds.map(sessionEvidence))],
  })),
})

/** All conversations of `<dataDir>/locomo/locomo*.json`. */
export const readLocomo = async (dataDir: string): Promise<readonly LocomoConversation[]> => {
  const files = await readDataFiles(dataDir, {
    folder: 'locomo',
    pattern: /^locomo.*\.json$/,
    advice: 'Put LoCoMo there, for instance as locomo/locomo10.json (repository snap-research/LoCoMo, CC BY-NC 4.0).',
  })
  const conversations = files.flatMap(({ text, name }) => parseLocomo(text, name))
  return uniqueBy(conversations, (conversation) => conversation.conversationId)
}
