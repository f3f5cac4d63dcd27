/** JSON that others sent, as a value that holds what they wrote. */
import type { FieldError } from './errors.ts'
import { indexOfInexactNumber, pointerAt } from './exact-numbers.ts'
import { atOnce, type Steps } from './yielding.ts'

export type ReadJson =
  | { readonly ok: true; readonly value: unknown }
  /** Null: it is no JSON. */
  | { readonly ok: false; readonly fault: FieldError | null }

const inexact = 'must be sent as text in quotes: as a JSON number it would be rounded, and another number be stored'

/**
 * Refuses numbers that would not be kept as they are written, which `JSON.parse` rounds silently. Never throws. Each step
 * takes long where the text is large.
 */
export function* readJsonSteps(text: string): Steps<ReadJson> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, fault: null }
  }
  yield
  const index = indexOfInexactNumber(text)
  return index === -1 ? { ok: true, value } : { ok: false, fault: { pointer: pointerAt(text, index), detail: inexact } }
}

/** `readJsonSteps` at once. */
export const readJson = (text: string): ReadJson => atOnce(readJsonSteps(text))
