/** Stands before a partner of the service and passes on what it says, until told to misbehave. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Lab } from './lab.ts'

export const evils = [
  'hang',
  'endless',
  'drip',
  'die in the middle',
  'wrong shape',
  'wrong count',
  'not a number',
  'refuse',
] as const
export type Evil = (typeof evils)[number] | 'honest'

export type EvilProxy = { readonly url: string; set(evil: Evil): void; asked(): number }

const endlessChunk = Buffer.alloc(256 * 1_024, ' ')
const dripEveryMs = 1_000
/** Of one answer without end; the service has to have hung up long before. */
const endlessBytesMax = 8 * 2 ** 30

/** Writes as fast as it is read. */
const sendWithoutEnd = (response: ServerResponse): void => {
  let sent = 0
  const more = () => {
    while (sent < endlessBytesMax && !response.destroyed) {
      sent += endlessChunk.length
      if (!response.write(endlessChunk)) {
        response.once('drain', more)
        return
      }
    }
    response.destroy()
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.write('{"data":[')
  more()
}

const drip = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const timer = setInterval(() => response.write(' '), dripEveryMs)
  response.once('close', () => clearInterval(timer))
}

const lies: Readonly<Record<string, (text: string) => string>> = {
  'wrong shape': () => JSON.stringify({ data: 'x', result: 'x', choices: 'x', usage: 7, status: 'ok', time: 'soon' }),
  'wrong count': (text) => text.replace(/\[(\{.*\})\]/s, (_, items: string) => `[${items},${items}]`),
  'not a number': (text) =>
    text
      .replaceAll(/"embedding":"[^"]*"/g, '"embedding":"//8AAP//AAA="')
      .replaceAll(/"score":[-\d.e]+/g, '"score":"NaN"')
      .replaceAll(/"(prompt_tokens|completion_tokens)":\d+/g, '"$1":1e400'),
}

type Passing = { readonly target: string; readonly incoming: IncomingMessage; readonly response: ServerResponse }

const passOn = ({ target, incoming, response }: Passing, change?: (text: string) => string): void => {
  const { 'accept-encoding': _, ...headers } = incoming.headers
  const outgoing = request(target + incoming.url, { method: incoming.method ?? 'GET', headers }, (answer) => {
    const pieces: Buffer[] = []
    answer.on('data', (piece: Buffer) => pieces.push(piece))
    answer.on('error', () => response.destroy())
    answer.on('end', () => {
      const body = Buffer.concat(pieces)
      const sent = change === undefined ? body : Buffer.from(change(body.toString()))
      const { 'transfer-encoding': __, 'content-length': ___, ...kept } = answer.headers
      response.writeHead(answer.statusCode ?? 502, { ...kept, 'content-length': String(sent.length) })
      response.end(sent)
    })
  })
  outgoing.on('error', () => response.destroy())
  incoming.pipe(outgoing)
}

const misbehave = (evil: Exclude<Evil, 'honest'>, passing: Passing): void => {
  const { response, incoming } = passing
  const change = lies[evil]
  if (change !== undefined) {
    passOn(passing, change)
    return
  }
  incoming.resume()
  if (evil === 'endless') sendWithoutEnd(response)
  else if (evil === 'drip') drip(response)
  else if (evil === 'refuse') response.writeHead(500, { 'content-type': 'text/html' }).end('<html>Sorry</html>')
  else if (evil === 'die in the middle') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100000' })
    response.write('{"data":[{', () => response.destroy())
  }
  // `hang`: the connection stays open and nothing comes.
}

export const startEvilProxy = async (lab: Lab, target: string): Promise<EvilProxy> => {
  let evil: Evil = 'honest'
  let asked = 0
  const sockets = new Set<Socket>()
  const server = createServer((incoming, response) => {
    asked += 1
    response.on('error', () => undefined)
    const passing = { target, incoming, response }
    if (evil === 'honest') passOn(passing)
    else misbehave(evil, passing)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  lab.defer(() => {
    cut()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (next) => {
      evil = next
      if (next === 'honest') cut()
    },
    asked: () => asked,
  }
}
