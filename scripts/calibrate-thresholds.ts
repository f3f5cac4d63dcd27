/**
 * Prints precision and recall of FILTER and of the duplicate report at each threshold, on the labelled messages and
 * pairs of test/fixtures/topics, and what the anchors alone would have chosen.
 *
 *   node --import tsx scripts/calibrate-thresholds.ts                       the bundled embedder
 *   node --import tsx scripts/calibrate-thresholds.ts URL MODEL [purpose]   another one; `purpose` sends input_type
 */
import { readdir, readFile } from 'node:fs/promises'
import pino from 'pino'
import { createBundledEmbedder } from '../src/drivers/embedder/bundled-embedder.ts'
import { createOpenAiEmbedder } from '../src/drivers/embedder/openai-embedder.ts'
import { measureAnchors, thresholdsFromAnchors } from '../src/drivers/embedder/thresholds.ts'
import { cosine } from '../src/drivers/embedder/unit-vector.ts'
import { bestSimilarity, criteriaParts } from '../src/modules/context/filter-criteria.ts'
import type { Embedder } from '../src/ports/embedder.ts'

type Labelled = { readonly text: string; readonly topics: readonly string[] }
type Conversation = { readonly messages: readonly Labelled[]; readonly criteria: readonly Labelled[] }
type Pair = { readonly kind: 'same' | 'changed' | 'other'; readonly one: string; readonly other: string }
type Judged = { readonly score: number; readonly wanted: boolean }

const folder = new URL('../test/fixtures/topics', import.meta.url)
const readJson = async (name: string) => JSON.parse(await readFile(new URL(name, folder), 'utf8'))

const judgeMessages = async (embedder: Embedder): Promise<readonly Judged[]> => {
  const names = (await readdir(folder)).filter((name) => name !== 'duplicates.json').sort()
  const judged: Judged[] = []
  for (const name of names) {
    const { messages, criteria }: Conversation = await readJson(name)
    const passages = await embedder.embed(
      messages.map(({ text }) => text),
      'passage',
    )
    for (const criterion of criteria) {
      const parts = await embedder.embed(criteriaParts(criterion.text), 'query')
      for (const [index, message] of messages.entries()) {
        const score = bestSimilarity(passages[index] ?? new Float32Array(0), parts)
        judged.push({ score, wanted: message.topics.some((topic) => criterion.topics.includes(topic)) })
      }
    }
  }
  return judged
}

const scorePairs = async (embedder: Embedder): Promise<readonly (Pair & { readonly score: number })[]> => {
  const { pairs }: { pairs: readonly Pair[] } = await readJson('duplicates.json')
  const embed = (texts: readonly string[]) => embedder.embed(texts, 'passage')
  const ones = await embed(pairs.map(({ one }) => one))
  const others = await embed(pairs.map(({ other }) => other))
  const none = new Float32Array(0)
  return pairs.map((pair, index) => ({ ...pair, score: cosine(ones[index] ?? none, others[index] ?? none) }))
}

const rates = (judged: readonly Judged[], threshold: number): { precision: number; recall: number; f1: number } => {
  const found = judged.filter(({ score }) => score >= threshold)
  const right = found.filter(({ wanted }) => wanted).length
  const precision = found.length === 0 ? 1 : right / found.length
  const recall = right / judged.filter(({ wanted }) => wanted).length
  return { precision, recall, f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall) }
}

const print = (line: string) => process.stdout.write(`${line}\n`)

const printTable = (judged: readonly Judged[], chosen: Readonly<Record<string, number>>): void => {
  const scores = judged.map(({ score }) => score)
  const lowest = Math.floor(Math.min(...scores) * 50)
  const steps = Array.from({ length: 51 - lowest }, (_, index) => (lowest + index) / 50)
  const namesAt = (threshold: number) => Object.keys(chosen).filter((name) => chosen[name] === threshold)
  print('| threshold | precision | recall | F1 | |\n|---|---|---|---|---|')
  for (const threshold of [...new Set([...steps, ...Object.values(chosen)])].sort((one, other) => one - other)) {
    const { precision, recall, f1 } = rates(judged, threshold)
    const cells = [precision, recall, f1].map((rate) => rate.toFixed(2)).join(' | ')
    print(`| ${threshold.toFixed(3)} | ${cells} | ${namesAt(threshold).join(', ')} |`)
  }
}

const [url, model = '', purpose] = process.argv.slice(2)
const logger = pino({ level: 'warn' })
const inputType = purpose === 'purpose' ? 'query-passage' : 'none'
const embedder =
  url === undefined ? createBundledEmbedder({ logger }) : await createOpenAiEmbedder({ url, model, inputType, logger })
try {
  const fromAnchors = thresholdsFromAnchors(await measureAnchors((texts, kind) => embedder.embed(texts, kind)))
  const messages = await judgeMessages(embedder)
  print(`\nFILTER: ${messages.length} decisions, ${messages.filter(({ wanted }) => wanted).length} on topic\n`)
  printTable(messages, { 'from anchors': fromAnchors.filter, 'of the driver': embedder.thresholds.filter })
  const pairs = await scorePairs(embedder)
  const judgedPairs = pairs.flatMap(({ kind, score }) =>
    kind === 'changed' ? [] : [{ score, wanted: kind === 'same' }],
  )
  print(
    `\nDuplicates: ${judgedPairs.length} pairs, ${judgedPairs.filter(({ wanted }) => wanted).length} say the same\n`,
  )
  printTable(judgedPairs, { 'from anchors': fromAnchors.duplicate, 'of the driver': embedder.thresholds.duplicate })
  const changed = pairs.filter(({ kind }) => kind === 'changed')
  const reported = changed.filter(({ score }) => score >= embedder.thresholds.duplicate).length
  print(`\nOf ${changed.length} facts with a new value the driver's threshold reports ${reported}.`)
} finally {
  await embedder.close()
}
