import { type TUnsafe, Type } from 'typebox'

/** A reference to a component registered under `name`, with the type of what it validates. */
export const refTo = <T>(name: string): TUnsafe<T> => Type.Unsafe<T>(Type.Ref(name))
