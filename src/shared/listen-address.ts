/** Where a server listens, and where a client on the same machine finds it. */
export type ListenAddress = { readonly host: string; readonly port: number }

export const listenUrlOf = ({ host, port }: ListenAddress): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`

/** A wildcard is an address to listen on; not every system can go to it. */
const loopbackOf = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

export const callUrlOf = ({ host, port }: ListenAddress): string =>
  listenUrlOf({ host: loopbackOf.get(host) ?? host, port })
