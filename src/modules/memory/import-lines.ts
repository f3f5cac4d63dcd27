/**
 * NDJSON, read line by line as bytes: what is not UTF-8 must be seen before it is decoded, since a decoder would replace
 * it and something else than was sent would be stored. One line is in memory at a time, and none above the bound.
 */
import { isUtf8 } from 'node:buffer'
import type { AppError } from '../../shared/errors.ts'
import { type JsonBounds, keepsJsonBounds } from '../../shared/json-bounds.ts'
import { readJson } from '../../shared/read-json.ts'
import { createPauses } from '../../shared/yielding.ts'
import { memoryInvalid } from './memory.errors.ts'
import type { ImportedMemory } from './memory-import.ts'
import { readImported } from './read-memory.ts'

/** More than a memory of full length takes with each of its characters escaped as `\uXXXX`, as some writers do. */
const lineBytesMax = 524_288
/** More than metadata of full size can have. */
const lineBounds: JsonBounds = { valuesMax: 10_000, containersMax: 10_000, namesMax: 10_000 }
const newline = 0x0a

export type ImportedLine = { readonly line: number; readonly memory: ImportedMemory | AppError }

const lineInvalid = (detail: string) => memoryInvalid([{ pointer: '', detail }])

/** Null for a blank line. `trim` also takes the byte order mark off. */
const parseLine = (bytes: Buffer): ImportedMemory | AppError | null => {
  if (!isUtf8(bytes)) return lineInvalid('is not UTF-8')
  if (!keepsJsonBounds(bytes, lineBounds)) return lineInvalid('holds more values than a memory can have')
  const text = bytes.toString('utf8').trim()
  if (text === '') return null
  const read = readJson(text)
  if (!read.ok)
    return read.fault === null
      ? lineInvalid('is not JSON: each line holds one memory as a JSON object')
      : memoryInvalid([read.fault])
  return readImported(read.value)
}

/** Null in place of a line above the bound. */
async function* readLines(stream: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer | null> {
  let pieces: Buffer[] = []
  let size = 0
  const take = (piece: Buffer): void => {
    size += piece.length
    if (size > lineBytesMax) pieces = []
    else pieces.push(piece)
  }
  const end = (): Buffer | null => {
    const line = size > lineBytesMax ? null : Buffer.concat(pieces)
    pieces = []
    size = 0
    return line
  }
  for await (const chunk of stream) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    let start = 0
    for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, start)) {
      take(bytes.subarray(start, at))
      yield end()
      start = at + 1
    }
    take(bytes.subarray(start))
  }
  if (size > 0) yield end()
}

/**
 * Lines with their numbers, from 1; blank lines are passed over. A piece of the stream may hold many lines, and whoever
 * takes one may have work with it, so others have their turn in between.
 */
export async function* readImportedLines(stream: AsyncIterable<Buffer | string>): AsyncGenerator<ImportedLine> {
  const { pause } = createPauses()
  let line = 0
  for await (const bytes of readLines(stream)) {
    line += 1
    const memory = bytes === null ? lineInvalid('the line is too long for a memory') : parseLine(bytes)
    if (memory !== null) yield { line, memory }
    await pause()
  }
}
