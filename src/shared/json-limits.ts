/**
 * What JSON from a client may hold. PostgreSQL stores neither NUL nor half a surrogate pair, keys such as `__proto__` turn
 * into something else when objects are merged, and nesting without end overflows whoever recurses into it. So the edge
 * calls `findUnsafeText` before anything else sees the value. A number such as 1e400 has become infinite by then, and would be
 * stored as null. It and `depthOf` walk with a stack of their own and in
 * document order; the other two recurse, and are for values whose depth is known to be bounded.
 */
import type { FieldError } from './errors.ts'

export const jsonDepthMax = 32

type Frame = {
  readonly node: object
  /** Null: an array, whose keys are its indexes. */
  readonly keys: readonly string[] | null
  /** Of the child that comes next. */
  next: number
}

export const isJsonObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null

const frameOf = (node: object): Frame => ({ node, keys: Array.isArray(node) ? null : Object.keys(node), next: 0 })

const childrenOf = ({ node, keys }: Frame): number => keys?.length ?? (node as readonly unknown[]).length

const keyAt = ({ keys }: Frame, index: number): string => keys?.[index] ?? String(index)

const childAt = (frame: Frame, index: number): unknown =>
  (frame.node as Readonly<Record<string, unknown>>)[keyAt(frame, index)]

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

/** RFC 6901, for a path of keys and indexes. */
export const jsonPointer = (path: readonly (string | number)[]): string =>
  path.map((key) => `/${escapePointer(String(key))}`).join('')

const loneSurrogate = /\p{Cs}/u

/** True for text with NUL or half a surrogate pair, which PostgreSQL refuses. */
export const isUnsafeText = (text: string): boolean => text.includes('\u0000') || loneSurrogate.test(text)

/** With U+FFFD in the place of NUL and of each half of a surrogate pair. */
export const toSafeText = (text: string): string =>
  isUnsafeText(text) ? text.replaceAll('\u0000', '\ufffd').replace(/\p{Cs}/gu, '\ufffd') : text

const unsafeText = 'must not hold the NUL character or half of a surrogate pair'

const boundlessNumber = 'must be a number within the range of a 64-bit float'

/** Of a value that holds no others. */
const scalarFault = (value: unknown): string | null => {
  if (typeof value === 'string') return isUnsafeText(value) ? unsafeText : null
  return typeof value === 'number' && !Number.isFinite(value) ? boundlessNumber : null
}

const hasPrototype = (value: unknown): boolean => isContainer(value) && Object.hasOwn(value, 'prototype')

const keyFault = (key: string, child: unknown): string | null => {
  if (isUnsafeText(key)) return `has a key that ${unsafeText}`
  if (key === '__proto__') return 'must not have the key __proto__'
  return key === 'constructor' && hasPrototype(child) ? 'must not have the key constructor.prototype' : null
}

/**
 * The first thing in `value` that must not be let in: text or a key with NUL or half a surrogate pair, `__proto__`,
 * `constructor.prototype`, an infinite number, or a container deeper than `depthMax` (see `depthOf`). Null when there is
 * none. A key at fault is pointed at by the object that has it. Linear in the value's size, whatever its depth.
 */
export const findUnsafeText = (value: unknown, depthMax = jsonDepthMax): FieldError | null => {
  const own = scalarFault(value)
  if (own !== null) return { pointer: '', detail: own }
  const frames: Frame[] = []
  const pointer = (length: number) => jsonPointer(frames.slice(0, length).map((frame) => keyAt(frame, frame.next - 1)))
  let entered = isContainer(value) ? frameOf(value) : undefined
  while (entered !== undefined || frames.length > 0) {
    if (entered !== undefined) frames.push(entered)
    entered = undefined
    if (frames.length > depthMax)
      return { pointer: pointer(frames.length - 1), detail: `must not be nested deeper than ${depthMax} levels` }
    const frame = frames[frames.length - 1]
    if (frame === undefined) break
    if (frame.next === childrenOf(frame)) {
      frames.pop()
      continue
    }
    const child = childAt(frame, frame.next)
    const fault = frame.keys === null ? null : keyFault(keyAt(frame, frame.next), child)
    if (fault !== null) return { pointer: pointer(frames.length - 1), detail: fault }
    frame.next += 1
    const childFault = scalarFault(child)
    if (childFault !== null) return { pointer: pointer(frames.length), detail: childFault }
    if (isContainer(child)) entered = frameOf(child)
  }
  return null
}

/** Levels of objects and arrays: 0 for a scalar, 1 for `{}` and `{"a": 1}`, 2 for `{"a": []}`. */
export const depthOf = (value: unknown): number => {
  let level = [value].filter(isContainer)
  let depth = 0
  while (level.length > 0) {
    depth += 1
    const next: object[] = []
    for (const node of level)
      for (const child of Array.isArray(node) ? node : Object.values(node)) if (isContainer(child)) next.push(child)
    level = next
  }
  return depth
}

/** Bytes of the value as compact JSON in UTF-8. The depth is to be bounded. */
export const byteLengthOfJson = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '')

/**
 * Compact JSON with each object's keys in order of their UTF-16 code units: two values have the same text if and only if
 * they are equal as JSON. Members that are undefined are left out. The depth is to be bounded.
 */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  if (!isContainer(value)) return JSON.stringify(value) ?? 'null'
  const members = value as Readonly<Record<string, unknown>>
  const keys = Object.keys(value).filter((key) => members[key] !== undefined)
  // Without a function, strings are sorted by their UTF-16 code units.
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(members[key])}`)
    .join(',')}}`
}
