/** What sessions and tools do where nobody says otherwise. */
import { number, optionalNumber, optionalText } from './setting.ts'

export const defaultSettings = {
  tokenizerFile: optionalText({
    name: 'AGEMEM_TOKENIZER_FILE',
    doc: "The policy model's tokenizer.json. Absent: token counts are estimates, and labelled so.",
  }),
  budgetTokens: number({
    name: 'AGEMEM_BUDGET_TOKENS',
    unit: 'tokens',
    default: 8_192,
    minimum: 256,
    maximum: 10_000_000,
    doc: 'Context budget of a session where neither it nor its agent sets one.',
  }),
  contextBytesMax: number({
    name: 'AGEMEM_CONTEXT_BYTES_MAX',
    unit: 'bytes',
    default: 8_388_608,
    minimum: 65_536,
    maximum: 134_217_728,
    doc: 'Most that one context may hold, 256 bytes for each message beside its texts. Beyond it, it can only get smaller.',
  }),
  topK: number({
    name: 'AGEMEM_TOP_K',
    unit: 'memories',
    default: 3,
    minimum: 1,
    maximum: 100,
    doc: 'Memories that a RETRIEVE shows where neither call, session nor agent says.',
  }),
  filterThreshold: optionalNumber({
    name: 'AGEMEM_FILTER_THRESHOLD',
    minimum: -1,
    maximum: 2,
    doc: "Similarity from which FILTER removes a message. Absent: the embedder's own.",
  }),
  duplicateThreshold: optionalNumber({
    name: 'AGEMEM_DUPLICATE_THRESHOLD',
    minimum: 0,
    maximum: 2,
    doc: "Similarity from which ADD reports a duplicate; above 1: never. Absent: the embedder's own.",
  }),
} as const
