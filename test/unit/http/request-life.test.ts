import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { toAppError } from '../../../src/http/http-errors.ts'
import { type RequestLife, type RequestLifeOptions, registerRequestLife } from '../../../src/http/request-life.ts'
import { publicAccess, tenantAccess } from '../../../src/http/route.ts'

type Gate = { readonly opened: Promise<void>; open(): void }

const createGate = (): Gate => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

const options: RequestLifeOptions = {
  requestsInFlightMax: 2,
  requestsInFlightPerTenantMax: 2,
  bodyBytesInFlightMax: 1_000,
  bodyBytesInFlightPerTenantMax: 2_000,
  streamsInFlightMax: 2,
  streamsInFlightPerTenantMax: 1,
  requestsAtWorkMax: 9,
  requestsAtWorkPerTenantMax: 9,
  bodyLimitBytes: 600,
  requestTimeoutMs: 10_000,
  streamTimeoutMs: 20_000,
}

describe('the life of a request', () => {
  let app: FastifyInstance
  let life: RequestLife
  let gate: Gate
  let arrived: Gate
  let signal: AbortSignal | undefined
  /** What each request waits for before its key is known. */
  let lookUp: () => Promise<void>
  /** Whose requests have reached their handler, in order. */
  let atWork: string[]

  const start = async (overrides: Partial<RequestLifeOptions> = {}) => {
    gate = createGate()
    arrived = createGate()
    atWork = []
    lookUp = async () => {}
    app = Fastify({ forceCloseConnections: true, return503OnClosing: false })
    app.setErrorHandler((error, _request, reply) => {
      const { status, code } = toAppError(error)
      return reply.code(status).send({ code })
    })
    life = registerRequestLife(app, { ...options, ...overrides })
    const access = tenantAccess('memory:read')
    // The key is the tenant; that of the operator is none.
    app.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.config.access?.kind === 'public') return
      life.ensureTakes(reply)
      await lookUp()
      const name = request.headers.authorization ?? 'a'
      life.begin(request, reply, { kind: name === 'operator' ? name : 'tenant', name })
      signal = life.signalOf(request)
    })
    app.post('/wait', { config: { access } }, async ({ headers: { authorization: tenantId = 'a' } }) => {
      atWork.push(tenantId)
      arrived.open()
      await gate.opened
      return {}
    })
    const ndjson = { response: { 200: { content: { 'application/x-ndjson': { schema: { type: 'string' } } } } } }
    app.get('/stream', { config: { access }, schema: ndjson }, async (_request, reply) => {
      await gate.opened
      return reply.type('application/x-ndjson').send('{}')
    })
    const events = { response: { 200: { content: { 'text/event-stream': { schema: { type: 'string' } } } } } }
    const asksForEvents = ({ body }: FastifyRequest) => (body as { stream: boolean }).stream
    app.post('/chat', { config: { access, asksForEvents }, schema: events }, async (_request, reply) => {
      arrived.open()
      await gate.opened
      return reply.type('application/json').send('{}')
    })
    app.post('/quick', { config: { access } }, async () => ({}))
    app.get('/live', { config: { access: publicAccess } }, async () => ({}))
    await app.listen({ host: '127.0.0.1', port: 0 })
  }
  afterEach(async () => {
    gate.open()
    await app.close()
  })

  const send = (path: string, { method = 'POST', body = '', key = 'a' } = {}): ClientRequest => {
    const { port } = app.server.address() as AddressInfo
    const headers = {
      authorization: key,
      ...(body === '' ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
    }
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false })
    sent.on('error', () => {})
    sent.end(body)
    return sent
  }
  const answerOf = async (sent: ClientRequest) => {
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const chunks = await response.toArray()
    const body = JSON.parse(Buffer.concat(chunks).toString())
    return {
      status: response.statusCode,
      connection: response.headers.connection,
      code: body.code as string | undefined,
    }
  }

  it('refuses what is above the bound at once, still tells how it is, and takes requests again after', async () => {
    await start({ requestsInFlightMax: 1 })
    const waiting = send('/wait')
    await arrived.opened
    expect(await answerOf(send('/quick'))).toMatchObject({ status: 503, code: 'server.overloaded' })
    expect((await answerOf(send('/live', { method: 'GET' }))).status).toBe(200)
    gate.open()
    expect((await answerOf(waiting)).status).toBe(200)
    await expect.poll(life.inFlight).toBe(0)
    expect((await answerOf(send('/quick'))).status).toBe(200)
  })

  it('refuses a body for which there is no room beside the others', async () => {
    await start()
    const body = JSON.stringify('x'.repeat(500))
    const waiting = send('/wait', { body })
    await arrived.opened
    expect(await answerOf(send('/quick', { body }))).toMatchObject({ status: 503, code: 'server.overloaded' })
    expect((await answerOf(send('/quick'))).status).toBe(200)
    gate.open()
    await answerOf(waiting)
  })

  it('A2: refuses a tenant at its own bound, and says that it is its own; others and the operator are served', async () => {
    await start({ requestsInFlightMax: 4, requestsInFlightPerTenantMax: 1 })
    await answerOf(send('/quick', { key: 'b' }))
    const waiting = send('/wait')
    await arrived.opened
    const refused = { status: 429, code: 'quota.requests_in_flight' }
    expect(await answerOf(send('/quick'))).toMatchObject(refused)
    for (const key of ['b', 'operator']) expect((await answerOf(send('/quick', { key }))).status).toBe(200)
    gate.open()
    expect((await answerOf(waiting)).status).toBe(200)
    await expect.poll(life.inFlight).toBe(0)
    expect((await answerOf(send('/quick'))).status).toBe(200)
  })

  it('the operator is served when tenants have taken everything', async () => {
    await start({ requestsInFlightMax: 1, requestsInFlightPerTenantMax: 1 })
    const waiting = send('/wait')
    await arrived.opened
    expect(await answerOf(send('/quick', { key: 'b' }))).toMatchObject({ status: 503, code: 'server.overloaded' })
    expect((await answerOf(send('/quick', { key: 'operator' }))).status).toBe(200)
    gate.open()
    await answerOf(waiting)
  })

  it('A2: of many requests of one tenant a few are at work, and the next turn is that of another', async () => {
    const many = { requestsInFlightMax: 20, requestsInFlightPerTenantMax: 20 }
    await start({ ...many, requestsAtWorkMax: 3, requestsAtWorkPerTenantMax: 1 })
    await answerOf(send('/quick', { key: 'b' }))
    const waiting = Array.from({ length: 6 }, () => answerOf(send('/wait')))
    await expect.poll(life.inFlight).toBe(6)
    const other = answerOf(send('/wait', { key: 'b' }))
    await expect.poll(() => atWork).toEqual(['a', 'b'])
    gate.open()
    for (const answer of await Promise.all([...waiting, other])) expect(answer.status).toBe(200)
    expect(atWork).toHaveLength(7)
  })

  it('A2: counts bodies and streams by tenant as well', async () => {
    await start({ requestsInFlightMax: 9, requestsInFlightPerTenantMax: 9, bodyBytesInFlightPerTenantMax: 600 })
    await answerOf(send('/quick', { key: 'b' }))
    const body = JSON.stringify('x'.repeat(400))
    const waiting = send('/wait', { body })
    await arrived.opened
    expect(await answerOf(send('/quick', { body }))).toMatchObject({ status: 429, code: 'quota.body_bytes_in_flight' })
    expect((await answerOf(send('/quick', { body, key: 'b' }))).status).toBe(200)
    const streaming = send('/stream', { method: 'GET' })
    await expect.poll(life.inFlight).toBe(2)
    expect(await answerOf(send('/stream', { method: 'GET' }))).toMatchObject({
      status: 429,
      code: 'quota.streams_in_flight',
    })
    gate.open()
    await Promise.all([answerOf(waiting), answerOf(streaming)])
  })

  it('A2: what answers with events when its body asks for them is counted as a stream then, and only then', async () => {
    await start({ requestsInFlightMax: 9, requestsInFlightPerTenantMax: 9, streamsInFlightPerTenantMax: 1 })
    await answerOf(send('/quick', { key: 'b' }))
    const body = (stream: boolean) => JSON.stringify({ stream })
    const streaming = send('/chat', { body: body(true) })
    await arrived.opened
    expect(await answerOf(send('/chat', { body: body(true) }))).toMatchObject({
      status: 429,
      code: 'quota.streams_in_flight',
    })
    const whole = send('/chat', { body: body(false) })
    const others = send('/chat', { body: body(true), key: 'b' })
    await expect.poll(life.inFlight).toBe(3)
    gate.open()
    for (const sent of [streaming, whole, others]) expect((await answerOf(sent)).status).toBe(200)
    expect((await answerOf(send('/chat', { body: body(true) }))).status).toBe(200)
  })

  it('a route that can answer with events says which requests ask for them, or the start fails', async () => {
    await start()
    const other = Fastify()
    registerRequestLife(other, options)
    const schema = { response: { 200: { content: { 'text/event-stream': { schema: { type: 'string' } } } } } }
    expect(() => other.post('/events', { schema }, async () => '')).toThrow(/which requests ask for events/)
    await other.close()
  })

  it('aborts the work of a client that went away', async () => {
    await start()
    const sent = send('/wait')
    await arrived.opened
    expect(signal?.aborted).toBe(false)
    sent.destroy()
    await expect.poll(() => signal?.aborted).toBe(true)
  })

  it('does not abort the work of a client that is waiting, though its whole request has been read', async () => {
    await start()
    const sent = send('/wait', { body: '{}' })
    await arrived.opened
    await answerOf(send('/quick'))
    expect(signal?.aborted).toBe(false)
    gate.open()
    expect((await answerOf(sent)).status).toBe(200)
  })

  it('answers 503 after the deadline, even for a handler that does not heed the signal', async () => {
    await start({ requestTimeoutMs: 200 })
    expect(await answerOf(send('/wait'))).toMatchObject({ status: 503, code: 'request.deadline' })
    expect(signal?.reason).toMatchObject({ name: 'TimeoutError' })
  })

  it('answers 503 after the deadline though the whole body was read long before', async () => {
    await start({ requestTimeoutMs: 200 })
    const late = send('/wait', { body: '{}' })
    await arrived.opened
    expect(await answerOf(late)).toMatchObject({ status: 503, code: 'request.deadline' })
    await expect.poll(life.inFlight).toBe(0)
  })

  it('the deadline begins when a request arrives: the look-up of its key and its body are parts of it', async () => {
    await start({ requestTimeoutMs: 200 })
    lookUp = () => gate.opened
    expect(await answerOf(send('/quick'))).toMatchObject({ status: 503, code: 'request.deadline' })
    expect(life.inFlight()).toBe(0)
    gate.open()
    await answerOf(send('/live', { method: 'GET' }))
    expect(life.inFlight()).toBe(0)
  })

  it('lets requests under way finish while it drains, and refuses new ones with a closed connection', async () => {
    await start()
    const waiting = send('/wait')
    await arrived.opened
    life.startDraining()
    expect(await answerOf(send('/quick'))).toEqual({ status: 503, connection: 'close', code: 'server.draining' })
    gate.open()
    expect((await answerOf(waiting)).status).toBe(200)
  })
})
