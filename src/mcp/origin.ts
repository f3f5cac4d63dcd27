/**
 * Which web pages may reach the door. A page that has rebound its own name to this machine's address sends its own
 * origin, so anything but a listed one or one of this machine is refused. Clients that are no web pages send none.
 */
const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

const originOf = (text: string): URL | null => (URL.canParse(text) ? new URL(text) : null)

export type OriginCheck = (origin: string | undefined) => boolean

/** `listed`: origins with commas between them; a port is part of an origin. */
export const createOriginCheck = (listed: string): OriginCheck => {
  const allowed = new Set(
    listed
      .split(',')
      .map((origin) => originOf(origin.trim())?.origin)
      .filter((origin) => origin !== undefined && origin !== 'null'),
  )
  return (text) => {
    if (text === undefined) return true
    const origin = originOf(text)
    return origin !== null && (loopback.has(origin.hostname) || allowed.has(origin.origin))
  }
}
