/**
 * One memory of a batch or of an imported line, checked by itself, so that a bad one is rejected with its reason and the
 * others are stored.
 */
import type { TProperties, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { type AppError, isAppError } from '../../shared/errors.ts'
import { findUnsafeText } from '../../shared/json-limits.ts'
import { memoryInvalid } from './memory.errors.ts'
import {
  type ImportedMemoryBody,
  importedMemorySchema,
  type NewMemoryBody,
  newMemorySchema,
  sourceSchema,
} from './memory.schemas.ts'
import { fromImportedBody, fromNewMemoryBody } from './memory-body.ts'
import type { ImportedMemory } from './memory-transfer.service.ts'
import type { NewMemory } from './memory-types.ts'

const errorsMax = 10

const createReader = <Body, Result>(schema: TSchema, toResult: (body: Body) => Result) => {
  const references: TProperties = { MemorySource: sourceSchema }
  const validator = Compile(references, schema)
  return (raw: unknown): Result | AppError => {
    const unsafe = findUnsafeText(raw)
    if (unsafe !== null) return memoryInvalid([unsafe])
    if (validator.Check(raw)) return toResult(raw as Body)
    const errors = validator.Errors(raw).slice(0, errorsMax)
    return memoryInvalid(errors.map((error) => ({ pointer: error.instancePath, detail: error.message })))
  }
}

export const readNewMemory: (raw: unknown) => NewMemory | AppError = createReader<NewMemoryBody, NewMemory>(
  newMemorySchema,
  fromNewMemoryBody,
)

const readImported = createReader<ImportedMemoryBody, ImportedMemory>(importedMemorySchema, fromImportedBody)

const lineCharactersMax = 200_000

const parseLine = (text: string): ImportedMemory | AppError => {
  try {
    return readImported(JSON.parse(text))
  } catch (error) {
    if (isAppError(error)) return error
    return memoryInvalid([{ pointer: '', detail: 'is not JSON: each line holds one memory as a JSON object' }])
  }
}

/** Lines of NDJSON with their numbers, from 1; blank lines are passed over. One line is in memory at a time. */
export async function* readImportedLines(
  stream: AsyncIterable<Buffer | string>,
): AsyncGenerator<{ readonly line: number; readonly memory: ImportedMemory | AppError }> {
  const decoder = new TextDecoder()
  let rest = ''
  let line = 0
  let isSkipping = false
  for await (const piece of stream) {
    rest += typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true })
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n')) {
      const text = rest.slice(0, end).trim()
      rest = rest.slice(end + 1)
      line += 1
      if (!isSkipping && text !== '') yield { line, memory: parseLine(text) }
      isSkipping = false
    }
    if (rest.length > lineCharactersMax && !isSkipping) {
      isSkipping = true
      yield { line: line + 1, memory: memoryInvalid([{ pointer: '', detail: 'the line is too long for a memory' }]) }
    }
    if (isSkipping) rest = ''
  }
  if (!isSkipping && rest.trim() !== '') yield { line: line + 1, memory: parseLine(rest.trim()) }
}
