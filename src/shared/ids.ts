/**
 * Ids are a typed prefix and a UUIDv7 in hex (RFC 9562): unique without a coordinator, ascending with time, so index
 * pages stay warm and ids sort by creation. A vector index that wants UUIDs takes the hex part.
 */
import { randomBytes } from 'node:crypto'

export type IdPrefix =
  | 'ten'
  | 'key'
  | 'mem'
  | 'ses'
  | 'msg'
  | 'edt'
  | 'stp'
  | 'spc'
  | 'era'
  | 'aud'
  | 'req'
  | 'run'
  | 'rew'
  | 'idx'

let lastMs = 0
let sequence = 0

/** UUIDv7 hex. Within one process ids made in the same millisecond ascend too (12-bit counter in rand_a). */
const uuidV7Hex = (nowMs: number): string => {
  const bytes = randomBytes(16)
  if (nowMs > lastMs) {
    lastMs = nowMs
    sequence = bytes.readUInt16BE(6) & 0x07ff
  } else {
    sequence += 1
    if (sequence > 0x0fff) {
      lastMs += 1
      sequence = 0
    }
  }
  bytes.writeUIntBE(lastMs, 0, 6)
  bytes.writeUInt16BE(0x7000 | sequence, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex')
}

export type CreateId = (prefix: IdPrefix) => string

export const createId: CreateId = (prefix) => `${prefix}_${uuidV7Hex(Date.now())}`

/** When an id was made, in ms since 1970: its first 48 bits say so. */
export const madeAtMs = (id: string): number => Number.parseInt(id.slice(id.indexOf('_') + 1).slice(0, 12), 16)

/** `^mem_[0-9a-f]{32}$` as a JSON schema pattern. */
export const idPattern = (prefix: IdPrefix): string => `^${prefix}_[0-9a-f]{32}$`

export const clientIdPattern = '^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$'
