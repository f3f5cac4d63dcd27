import { createHash } from 'node:crypto'
import { streamSafe } from '../../shared/stream-safe.ts'

/**
 * Signed 64 bits, as text for a bigint column: the start of the SHA-256 of the content in lower case without
 * punctuation and runs of white space. Equal hashes: the memories say the same in the same words.
 */
export const contentHashOf = (content: string): string => {
  const words = streamSafe(content)
    .normalize('NFKC')
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu)
  const normalised = words === null ? content : words.join(' ')
  return createHash('sha256').update(normalised).digest().readBigInt64BE(0).toString()
}
