/**
 * From what a client or a model sent to arguments a tool can run with. First the aliases are resolved, then the tool's
 * schema is checked, then what a schema cannot say. Nothing is dropped and nothing is guessed: a field that the tool does
 * not take is an error, since a filter that is silently ignored would widen what it was meant to narrow. A model's habits
 * that leave no doubt about what it meant are mended before, in `parseModelArguments`, and only there.
 */
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import { isBlank } from '../../shared/blank-text.ts'
import type { FieldError } from '../../shared/errors.ts'
import { findUnsafeText, isJsonObject, jsonPointer } from '../../shared/json-limits.ts'
import { metadataErrors } from '../../shared/metadata.ts'
import { readJson } from '../../shared/read-json.ts'
import { contentCharactersMax } from '../memory/memory-input.ts'
import { toolDefinitions, toolKeys } from './tool-definitions.ts'
import { type ToolArguments, type ToolKey, toolParameters, topKMax } from './tool-parameters.ts'

export type ParsedArguments<Key extends ToolKey> =
  | { readonly ok: true; readonly value: ToolArguments[Key] }
  | { readonly ok: false; readonly errors: readonly FieldError[] }

type Fields = Readonly<Record<string, unknown>>

const validators = new Map(toolKeys.map((key) => [key, Compile(toolParameters[key])]))

const text = `must be text of 1 to ${contentCharactersMax} characters that is not blank`

/** What each argument must be; a name means the same in every tool. */
const expectations: Readonly<Record<string, string>> = {
  content: text,
  query: text,
  criteria: text,
  memory_type: 'must be text of 1 to 128 characters that is not blank',
  memory_id: 'must be the memory_id that an earlier Add_memory or Retrieve_memory gave',
  metadata: 'must be a JSON object, with numbers of more than 15 digits as text',
  metadata_filter: 'must be a JSON object of labels and the values they must equal',
  confirmation: 'must be true: a deletion cannot be undone. Call again with "confirmation": true to delete the memory',
  top_k: `must be a whole number from 1 to ${topKMax}`,
  span: 'must be "all", or a whole number N for the last N messages',
}

const spanOf = (span: unknown): unknown => {
  const word = typeof span === 'string' ? span.trim().toLowerCase() : span
  if (word === 'all' || word === 'full') return 'all'
  return typeof word === 'string' && /^[0-9]+$/.test(word) ? Math.min(Number(word), Number.MAX_SAFE_INTEGER) : span
}

const withoutAliases = (key: ToolKey, fields: Fields): Fields => {
  if (key === 'summary_context' && Object.hasOwn(fields, 'span')) return { ...fields, span: spanOf(fields.span) }
  if (key !== 'delete_memory' || !Object.hasOwn(fields, 'confirmed')) return fields
  const { confirmed, ...rest } = fields
  return { ...rest, confirmation: rest.confirmation === undefined || rest.confirmation === true ? confirmed : false }
}

const fieldErrorsOf = (key: ToolKey, error: TLocalizedValidationError): readonly FieldError[] => {
  if (error.keyword === 'boolean') return []
  if (error.keyword === 'required') {
    return error.params.requiredProperties.map((name) => ({
      pointer: jsonPointer([name]),
      detail: `is missing: it ${expectations[name]}`,
    }))
  }
  if (error.keyword === 'additionalProperties') {
    const known = Object.keys(toolParameters[key].properties).join(', ')
    const detail = `is not an argument of ${toolDefinitions[key].name}, which takes ${known}`
    return error.params.additionalProperties.map((name) => ({ pointer: jsonPointer([name]), detail }))
  }
  const name = error.instancePath.split('/')[1] ?? ''
  return [{ pointer: jsonPointer([name]), detail: expectations[name] ?? error.message }]
}

const schemaErrors = (key: ToolKey, fields: Fields): readonly FieldError[] => {
  const errors = validators.get(key)?.Errors(fields) ?? []
  const byPointer = new Map(errors.flatMap((error) => fieldErrorsOf(key, error)).map((error) => [error.pointer, error]))
  return [...byPointer.values()]
}

const ruleErrors = (key: ToolKey, fields: Fields): readonly FieldError[] => {
  const errors: FieldError[] = ['metadata', 'metadata_filter'].flatMap((name) => {
    const metadata = fields[name]
    return isJsonObject(metadata) ? metadataErrors(metadata, `/${name}`) : []
  })
  for (const name of ['content', 'query', 'criteria', 'memory_type']) {
    const value = fields[name]
    if (typeof value === 'string' && isBlank(value))
      errors.push({ pointer: `/${name}`, detail: expectations[name] ?? '' })
  }
  if (key === 'delete_memory' && fields.confirmation !== true)
    errors.push({ pointer: '/confirmation', detail: expectations.confirmation ?? '' })
  if (key === 'update_memory' && fields.content === undefined && fields.metadata === undefined)
    errors.push({ pointer: '', detail: 'nothing to change: give content, metadata, or both' })
  return errors
}

/**
 * Checks arguments as JSON has them. Accepts `confirmed` for `confirmation`, "full" for "all", and a span that is a number
 * as text. When it is ok, `value` keeps every limit of the contract; else each error points at its field and says what to
 * do. Never throws.
 */
export const parseToolArguments = <Key extends ToolKey>(key: Key, raw: unknown): ParsedArguments<Key> => {
  const unsafe = findUnsafeText(raw)
  if (unsafe !== null) return { ok: false, errors: [unsafe] }
  const { name } = toolDefinitions[key]
  if (!isJsonObject(raw))
    return { ok: false, errors: [{ pointer: '', detail: `must be an object: ${name}'s arguments` }] }
  const fields = withoutAliases(key, raw)
  const invalid = schemaErrors(key, fields)
  const errors = invalid.length > 0 ? invalid : ruleErrors(key, fields)
  // The schema and the rules above are what the type says.
  return errors.length > 0 ? { ok: false, errors } : { ok: true, value: fields as unknown as ToolArguments[Key] }
}

const jsonObjectIn = (value: unknown): unknown => {
  const read = typeof value === 'string' ? readJson(value) : null
  return read?.ok && isJsonObject(read.value) ? read.value : value
}

const mendField = (name: string, value: unknown): unknown => {
  if (name === 'metadata' || name === 'metadata_filter') return jsonObjectIn(value)
  if (typeof value !== 'string') return value
  const word = value.trim().toLowerCase()
  if (name === 'top_k' && /^[0-9]{1,15}$/.test(word)) return Number(word)
  if (name !== 'confirmation' && name !== 'confirmed') return value
  return word === 'true' ? true : word === 'false' ? false : value
}

/**
 * `parseToolArguments` for what a model wrote: a number or boolean may be text, metadata may be JSON in text, null means
 * that the argument was left out, and so does no object at all.
 */
export const parseModelArguments = <Key extends ToolKey>(key: Key, raw: unknown): ParsedArguments<Key> => {
  const fields = raw ?? {}
  if (!isJsonObject(fields)) return parseToolArguments(key, fields)
  const given = Object.entries(fields).filter(([, value]) => value !== null)
  return parseToolArguments(key, Object.fromEntries(given.map(([name, value]) => [name, mendField(name, value)])))
}
