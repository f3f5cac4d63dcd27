/** Requests made from openapi.json: for each operation a path, headers, a query and a body by schema, with faults mixed in. */
import type { Random } from './random.ts'

type Schema = {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly format?: string
}

type Parameter = { readonly in: string; readonly name: string; readonly required?: boolean; readonly schema: Schema }

type RawOperation = {
  readonly operationId?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

export type ApiDocument = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

export type Operation = {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly bodyType: string | null
  readonly bodySchema: Schema
}

/** Values by the name of the field that they are for; a name that is not known gets a value by its schema. */
export type ValueSource = (name: string) => unknown

export const operationsOf = (document: ApiDocument): readonly Operation[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]): Operation => {
      const [bodyType = null] = Object.keys(raw.requestBody?.content ?? {})
      return {
        id: raw.operationId ?? `${method} ${path}`,
        method: method.toUpperCase(),
        path,
        parameters: raw.parameters ?? [],
        bodyType,
        bodySchema: (bodyType === null ? undefined : raw.requestBody?.content[bodyType]?.schema) ?? {},
      }
    }),
  )

const depthMax = 6
const faults: readonly unknown[] = [null, '', -1, 1e9, true, [], {}, 'x'.repeat(300), '\u0000', "' or 1=1 --", '../..']

/** A value of the schema, most of the time. */
export const createMaker = (document: ApiDocument, random: Random, knownOf: ValueSource, faultShare: number) => {
  const resolve = (schema: Schema): Schema => {
    const name = schema.$ref?.split('/').at(-1)
    return name === undefined ? schema : (document.components.schemas[name] ?? {})
  }
  const objectOf = (schema: Schema, depth: number): unknown => {
    const fields = Object.entries(schema.properties ?? {}).filter(
      ([name]) => schema.required?.includes(name) === true || random.chance(0.4),
    )
    const made = Object.fromEntries(fields.map(([name, field]) => [name, make(field, name, depth + 1)]))
    return random.chance(faultShare) ? { ...made, unheard_of: 1 } : made
  }
  const scalarOf = (schema: Schema): unknown => {
    if (schema.type === 'integer' || schema.type === 'number') {
      const low = schema.minimum ?? 0
      return low + random.below(Math.max(1, Math.min((schema.maximum ?? low + 50) - low, 50)))
    }
    if (schema.type === 'boolean') return random.chance(0.5)
    if (schema.format === 'date-time') return `20${10 + random.below(30)}-0${1 + random.below(9)}-11T10:00:00Z`
    return random.words(1 + random.below(4))
  }
  const make = (given: Schema, name: string, depth = 0): unknown => {
    if (random.chance(faultShare)) return random.pick(faults)
    const schema = resolve(given)
    const known = knownOf(name)
    if (known !== undefined && schema.type !== 'object' && schema.type !== 'array') return known
    if (schema.const !== undefined) return schema.const
    if (schema.enum !== undefined) return random.pick(schema.enum)
    const choices = schema.anyOf ?? schema.oneOf
    if (choices !== undefined) return make(random.pick(choices), name, depth + 1)
    if (schema.type === 'array') {
      const count = depth > depthMax ? 0 : Math.max(schema.minItems ?? 0, random.below(3))
      return Array.from({ length: count }, () => make(schema.items ?? {}, name, depth + 1))
    }
    if (schema.type === 'object' || schema.properties !== undefined)
      return depth > depthMax ? {} : objectOf(schema, depth)
    return scalarOf(schema)
  }
  return make
}
