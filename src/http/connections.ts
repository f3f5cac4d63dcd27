/**
 * Connections, and whose they are: at first of an address, and of whoever's key was good on one from then on. Nobody is
 * shut out by others: where there are too many, the newcomer stays and another goes, the oldest of whoever has the most.
 * One that works on a request with a good key is never closed for others; how many those are is bounded by shares.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { addressOwner, createAddressList } from './address.ts'

export type ConnectionsOptions = {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** As AGEMEM_TRUST_PROXY: what they forward is of many clients. */
  readonly trustProxy: string
}

type Connection = {
  readonly socket: Socket
  readonly address: string
  readonly isProxy: boolean
  /** Null: no good key was shown yet. */
  caller: string | null
  readonly answering: Set<ServerResponse>
}

/** Requests that one connection may have under way, since nothing else bounds those that were sent without waiting (pipelining). */
const answersPerConnectionMax = 64

export type Connections = ReturnType<typeof watchConnections>

const isIdle = ({ caller, answering }: Connection): boolean => caller === null || answering.size === 0

/** Of those that may be closed, the oldest of whoever has the most. */
export const connectionToClose = (connections: Iterable<Connection>): Connection | undefined => {
  const byOwner = new Map<string, Connection[]>()
  for (const connection of connections) {
    if (!isIdle(connection)) continue
    const owner = connection.caller ?? `address ${connection.address}`
    const own = byOwner.get(owner)
    if (own === undefined) byOwner.set(owner, [connection])
    else own.push(connection)
  }
  let most: readonly Connection[] = []
  for (const own of byOwner.values()) if (own.length > most.length) most = own
  return most[0]
}

/** Of answers that wait for the one before them Node.js tells nobody when their connection is gone. */
const endQueued = (response: ServerResponse): void => {
  if (response.socket !== null || response.closed) return
  response.destroy()
  response.emit('close')
}

export const watchConnections = (server: Server, options: ConnectionsOptions) => {
  const { connectionsMax, connectionsPerAddressMax } = options
  const isProxy = createAddressList(options.trustProxy)
  /** A closed connection leaves the count a moment later. */
  const openMax = connectionsMax - Math.ceil(connectionsMax / 16)
  const strangersMax = Math.floor(connectionsMax / 2)
  /** The oldest first. */
  const open = new Map<Socket, Connection>()
  const strangers = new Map<string, Set<Connection>>()
  let strangerCount = 0
  server.maxConnections = connectionsMax

  const strangersOf = (address: string): Set<Connection> => strangers.get(address) ?? new Set()

  const leaveStrangers = (connection: Connection): void => {
    const own = strangersOf(connection.address)
    if (!own.delete(connection)) return
    strangerCount -= 1
    if (own.size === 0) strangers.delete(connection.address)
  }

  const close = (connection: Connection | undefined): void => {
    if (connection === undefined) return
    open.delete(connection.socket)
    leaveStrangers(connection)
    connection.socket.destroy()
  }

  function* allStrangers(): Generator<Connection> {
    for (const own of strangers.values()) yield* own
  }

  server.on('connection', (socket: Socket) => {
    const address = addressOwner(socket.remoteAddress)
    const connection: Connection = {
      ...{ socket, address, isProxy: isProxy(socket.remoteAddress) },
      ...{ caller: null, answering: new Set<ServerResponse>() },
    }
    open.set(socket, connection)
    socket.once('close', () => {
      open.delete(socket)
      leaveStrangers(connection)
      for (const response of connection.answering) endQueued(response)
    })
    if (!connection.isProxy) {
      strangers.set(address, strangersOf(address).add(connection))
      strangerCount += 1
    }
    if (strangersOf(address).size > connectionsPerAddressMax) close(connectionToClose(strangersOf(address)))
    if (strangerCount > strangersMax) close(connectionToClose(allStrangers()))
    if (open.size > openMax) close(connectionToClose(open.values()))
  })

  return {
    open: (): number => open.size,
    /** A request is being answered on it. False: there is nobody to answer, since the connection was closed. */
    answer: ({ socket }: IncomingMessage, response: ServerResponse): boolean => {
      const connection = open.get(socket)
      if (connection !== undefined && connection.answering.size >= answersPerConnectionMax) close(connection)
      if (socket.destroyed) return false
      connection?.answering.add(response)
      response.once('close', () => connection?.answering.delete(response))
      return true
    },
    /** A good key was shown on it. */
    know: ({ socket }: IncomingMessage, caller: string): void => {
      const connection = open.get(socket)
      if (connection === undefined) return
      leaveStrangers(connection)
      connection.caller = caller
      // The latest use counts as its age.
      open.delete(socket)
      open.set(socket, connection)
    },
    /** Whether a part of an answer has gone out, which anything else that is written would tear. */
    isAnswering: (socket: Socket): boolean => [...(open.get(socket)?.answering ?? [])].some((one) => one.headersSent),
  }
}
