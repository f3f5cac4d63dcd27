import { type TUnsafe, Type } from 'typebox'

/** A reference to a component registered under `name`, with the type of what it validates. */
export const refTo = <T>(name: string): TUnsafe<T> => Type.Unsafe<T>(Type.Ref(name))

/**
 * An object of any members. `Type.Record` would give a pattern for the keys which a line break does not match, and the
 * serializer drops members that no pattern matches.
 */
export const anyObject = (options: { readonly description?: string } = {}) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, ...options })
