/**
 * Values as PostgreSQL sends them, in text. Revisions and counts stay far below 2^53, so bigints arrive as numbers;
 * moments arrive as RFC 3339 in UTC. A value that cannot be decoded is a fault of ours: never taken for one of the
 * connection, which would be tried again for ever.
 */
import pg from 'pg'
import type { Logger } from 'pino'
import { brokenInvariant } from '../../shared/errors.ts'
import { fromTimestamptz } from '../../shared/moment.ts'

const int8Oid = 20
const numericOid = 1700
const timestamptzOid = 1184

type Decode = (text: string) => unknown

const guarded =
  (decode: Decode): Decode =>
  (text) => {
    try {
      return decode(text)
    } catch (error) {
      throw brokenInvariant('A value that the database gave cannot be read.', error)
    }
  }

export const createTypes = (logger: Logger): pg.CustomTypesConfig => {
  const warn = (value: string): void =>
    logger.error({ value }, 'a moment in the database is none that can be told; the nearest that can stands in')
  const own: ReadonlyMap<number, Decode> = new Map<number, Decode>([
    [int8Oid, Number],
    [numericOid, Number],
    [timestamptzOid, (text) => fromTimestamptz(text, warn)],
  ])
  const decoders = new Map<string, Decode>()
  const getTypeParser = (oid: number, format?: 'text' | 'binary'): Decode => {
    const key = `${oid} ${format}`
    const decoder = decoders.get(key) ?? guarded(own.get(oid) ?? pg.types.getTypeParser(oid, format))
    decoders.set(key, decoder)
    return decoder
  }
  return { getTypeParser } as pg.CustomTypesConfig
}
