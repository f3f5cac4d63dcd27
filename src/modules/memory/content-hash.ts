import { createHash } from 'node:crypto'
import { streamSafe } from '../../shared/stream-safe.ts'

/** Half and full width forms of letters, digits and signs: the same characters, drawn for another line. */
const widths = /[\uff01-\uffee]+/g

/**
 * A text without what says nothing: the way its characters are composed, their width and case, and how much white space
 * stands between them. Punctuation, signs, marks and emoji stay: `C++` is not `C#`, nor -5 what 5 is. Compatibility forms
 * stay apart too, since ² is not 2.
 */
export const sameTextOf = (text: string): string =>
  streamSafe(text.replace(widths, (wide) => wide.normalize('NFKC')))
    .normalize('NFC')
    .toLowerCase()
    .normalize('NFC')
    .replace(/\s+/gu, ' ')
    .trim()

/**
 * Signed 64 bits, as text for a bigint column: the start of the SHA-256 of what `sameTextOf` the content is. Equal hashes:
 * the memories say the same in the same words.
 */
export const contentHashOf = (content: string): string =>
  createHash('sha256').update(sameTextOf(content)).digest().readBigInt64BE(0).toString()
