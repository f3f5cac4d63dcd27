/**
 * One memory of a batch or of an imported line, checked by itself, so that a bad one is rejected with its reason and the
 * others are stored.
 */
import type { TProperties, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import { cutText } from '../../shared/cut-text.ts'
import type { AppError, FieldError } from '../../shared/errors.ts'
import { joinFieldErrors } from '../../shared/field-errors.ts'
import { findUnsafeText, jsonPointer } from '../../shared/json-limits.ts'
import { memoryInvalid } from './memory.errors.ts'
import {
  type ImportedMemoryBody,
  importedMemorySchema,
  type NewMemoryBody,
  newMemorySchema,
  sourceSchema,
} from './memory.schemas.ts'
import { fromImportedBody, fromNewMemoryBody } from './memory-body.ts'
import type { ImportedMemory } from './memory-import.ts'
import type { NewMemory } from './memory-types.ts'

const errorsMax = 10

const fieldErrorsOf = ({
  keyword,
  params,
  instancePath,
  message,
}: TLocalizedValidationError): readonly FieldError[] => {
  // An unknown field is told of twice: as a value that no schema allows, and by the object that has it.
  if (keyword === 'boolean' || keyword === 'anyOf') return []
  const at = (name: string, detail: string) => ({ pointer: instancePath + jsonPointer([name]), detail })
  if (keyword === 'additionalProperties')
    return params.additionalProperties.map((name) => at(cutText(name, 64), 'is not known here'))
  if (keyword === 'required') return params.requiredProperties.map((name) => at(name, 'is missing'))
  return [{ pointer: instancePath, detail: message }]
}

const createReader = <Body, Result>(schema: TSchema, toResult: (body: Body) => Result) => {
  const references: TProperties = { MemorySource: sourceSchema }
  const validator = Compile(references, schema)
  return (raw: unknown): Result | AppError => {
    const unsafe = findUnsafeText(raw)
    if (unsafe !== null) return memoryInvalid([unsafe])
    if (validator.Check(raw)) return toResult(raw as Body)
    return memoryInvalid(joinFieldErrors(validator.Errors(raw).flatMap(fieldErrorsOf)).slice(0, errorsMax))
  }
}

export const readNewMemory: (raw: unknown) => NewMemory | AppError = createReader<NewMemoryBody, NewMemory>(
  newMemorySchema,
  fromNewMemoryBody,
)

export const readImported: (raw: unknown) => ImportedMemory | AppError = createReader<
  ImportedMemoryBody,
  ImportedMemory
>(importedMemorySchema, fromImportedBody)
