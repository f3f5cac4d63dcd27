/**
 * Counts with a model's own vocabulary, from a `tokenizer.json` as Hugging Face publishes it and, where it lies beside
 * it, `tokenizer_config.json`. Special tokens that a template adds are counted per message, not per text.
 *
 * Encoding takes about 1 ms per kilobyte, so long texts are counted in pieces and the counts of pieces are kept: of a
 * text that comes again, or of one that has grown at its end, little is encoded anew. Pieces end before a blank, where
 * byte-pair tokenizers part words anyway; a piece with no blank at all is cut at its full length. Cutting moves a
 * count by a token per piece at most.
 */
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Tokenizer as VocabularyTokenizer } from '@huggingface/tokenizers'
import type { Tokenizer } from '../../ports/tokenizer.ts'
import { AppError } from '../../shared/errors.ts'
import type { Steps } from '../../shared/yielding.ts'
import { keepCounts } from './kept-counts.ts'
import { countChatMessage } from './message-tokens.ts'

const pieceCharsMax = 4_096
const readTimeoutMs = 30_000

const unreadable = (path: string, cause: unknown) =>
  new AppError({
    code: 'tokenizer.unreadable',
    status: 500,
    detail: `${path} is not a readable tokenizer file. Name a tokenizer.json as published with the model.`,
    cause,
  })

const readJson = async (path: string, signal: AbortSignal): Promise<object> => {
  try {
    return JSON.parse(await readFile(path, { encoding: 'utf8', signal }))
  } catch (error) {
    throw unreadable(path, error)
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof AppError && error.cause instanceof Error && 'code' in error.cause && error.cause.code === 'ENOENT'

const readConfig = async (path: string, signal: AbortSignal): Promise<object> => {
  try {
    return await readJson(path, signal)
  } catch (error) {
    if (isMissing(error)) return {}
    throw error
  }
}

const loadVocabulary = async (path: string, signal: AbortSignal): Promise<VocabularyTokenizer> => {
  const vocabulary = await readJson(path, signal)
  const config = await readConfig(join(dirname(path), 'tokenizer_config.json'), signal)
  try {
    return new VocabularyTokenizer(vocabulary, config)
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** Where the piece that starts at `start` ends: before its last blank, never inside a surrogate pair. */
const pieceEnd = (text: string, start: number): number => {
  const limit = start + pieceCharsMax
  if (limit >= text.length) return text.length
  const window = text.slice(start + pieceCharsMax / 2, limit)
  const lastBlank = Math.max(window.lastIndexOf(' '), window.lastIndexOf('\n'))
  if (lastBlank > 0) return start + pieceCharsMax / 2 + lastBlank
  return /[\uD800-\uDBFF]/.test(text.charAt(limit - 1)) ? limit - 1 : limit
}

function* piecesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = pieceEnd(text, start)
    yield text.slice(start, end)
    start = end
  }
}

/** @throws AppError `tokenizer.unreadable` when the file is missing, is no tokenizer, or takes longer than 30 s to read */
export const createFileTokenizer = async ({
  path,
  signal,
}: {
  readonly path: string
  readonly signal?: AbortSignal
}): Promise<Tokenizer> => {
  const deadline = AbortSignal.timeout(readTimeoutMs)
  const vocabulary = await loadVocabulary(path, signal ? AbortSignal.any([signal, deadline]) : deadline)
  const kept = keepCounts((piece) => vocabulary.encode(piece, { add_special_tokens: false }).ids.length)
  const countText = (text: string): number => {
    let sum = 0
    for (const piece of piecesOf(text)) sum += kept.count(piece)
    return sum
  }
  function* prepare(texts: readonly string[]): Steps<void> {
    for (const text of texts)
      for (const piece of piecesOf(text)) {
        kept.count(piece)
        yield
      }
  }
  return {
    source: 'tokenizer',
    name: basename(dirname(path)) || 'tokenizer.json',
    prepare,
    countText,
    countMessage: (message) => countChatMessage(message, countText),
    forget: kept.forget,
  }
}
