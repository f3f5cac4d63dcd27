import { Worker } from 'node:worker_threads'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { type BundledEmbedderOptions, createBundledEmbedder } from '../../../src/drivers/embedder/bundled-embedder.ts'
import { createTextQueue, type WaitingRequest } from '../../../src/drivers/embedder/text-queue.ts'
import type { Embedder } from '../../../src/ports/embedder.ts'

/** A thread in place of the model: a vector tells the length of its text; the texts in capitals are orders. */
const thread = `
  const { parentPort } = require('node:worker_threads')
  parentPort.on('message', (texts) => {
    if (texts.includes('CRASH')) throw new Error('out of memory')
    if (texts.includes('HANG')) return
    parentPort.postMessage(texts.map((text) => Float32Array.from({ length: 512 }, (_, i) => (i === 0 ? text.length : 0))))
  })
  parentPort.postMessage('ready')
`
const startThread = (code = thread) => new Worker(code, { eval: true })

const open: Embedder[] = []
afterEach(async () => {
  for (const embedder of open.splice(0)) await embedder.close()
})

const setUp = (options: Partial<BundledEmbedderOptions> = {}) => {
  const logger = pino({ level: 'silent' })
  const embedder = createBundledEmbedder({ logger, restartDelayMs: 1, startWorker: () => startThread(), ...options })
  open.push(embedder)
  return embedder
}

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => 'no failure',
    (error) => error,
  )

describe('the thread of the bundled model', () => {
  it('a crash fails the texts that were in it, and the next request finds a new thread', async () => {
    const embedder = setUp()
    const crash = failureOf(embedder.embed(['CRASH'], 'passage'))
    expect(await crash).toMatchObject({ code: 'embedder.unavailable', retryable: true })
    expect((await embedder.embed(['four'], 'query'))[0]?.[0]).toBe(4)
  })

  it('a crash does not fail the requests that still waited', async () => {
    const embedder = setUp()
    await embedder.embed(['warm'], 'query')
    const crash = failureOf(embedder.embed(['CRASH'], 'passage'))
    const waiting = embedder.embed(['waits'], 'passage')
    expect(await crash).toMatchObject({ code: 'embedder.unavailable' })
    expect((await waiting)[0]?.[0]).toBe(5)
  })

  it('a thread that hangs is ended and started again', async () => {
    const embedder = setUp({ stuckMs: 1_000 })
    expect(await failureOf(embedder.embed(['HANG'], 'passage'))).toMatchObject({ code: 'embedder.unavailable' })
    expect(await embedder.embed(['back'], 'query')).toHaveLength(1)
  })

  it('a request is failed at its deadline, in the thread or in the queue', async () => {
    const embedder = setUp({ timeoutMs: 200 })
    const calls = [embedder.embed(['HANG'], 'passage'), embedder.embed(['waits'], 'passage')].map(failureOf)
    for (const failure of await Promise.all(calls))
      expect(failure).toMatchObject({ code: 'embedder.unavailable', retryable: true })
  })

  it('a model that cannot be loaded fails those who wait at once, and is tried again', async () => {
    let starts = 0
    const startWorker = () => {
      starts += 1
      return startThread(starts < 3 ? "throw new Error('no weights')" : thread)
    }
    const embedder = setUp({ startWorker })
    expect(await embedder.checkHealth()).toMatchObject({ ready: false })
    expect(await failureOf(embedder.embed(['hello'], 'query'))).toMatchObject({ code: 'embedder.unavailable' })
    await expect.poll(async () => (await embedder.checkHealth()).ready).toBe(true)
    expect(starts).toBe(3)
    expect(await embedder.embed(['hello'], 'query')).toHaveLength(1)
  })

  it('closing ends the thread', async () => {
    const threads: Worker[] = []
    const startWorker = () => {
      const started = startThread()
      threads.push(started)
      return started
    }
    const embedder = setUp({ startWorker })
    const hanging = failureOf(embedder.embed(['HANG'], 'query'))
    await embedder.close()
    expect(await hanging).toMatchObject({ code: 'embedder.unavailable' })
    expect(threads.map(({ threadId }) => threadId)).toEqual([-1])
  })
})

describe('what waits for the model', () => {
  const request = (purpose: 'query' | 'passage', texts: readonly string[], tenantId = 'ten_a'): WaitingRequest => ({
    tenantId,
    purpose,
    texts,
    settle: { vector: () => {}, fail: () => {} },
  })
  const textsOf = (taken: readonly { readonly text: string }[]) => taken.map(({ text }) => text).join(' ')
  const bounds = { textsMax: 4, charsMax: 100 }

  it('leaves queries first, then passages, and requests of one purpose in turns', () => {
    const queue = createTextQueue({ requestsPerTenantMax: 10 })
    queue.add(request('passage', ['a1', 'a2', 'a3', 'a4']))
    queue.add(request('passage', ['b1']))
    queue.add(request('query', ['q1']))
    expect(textsOf(queue.take(bounds))).toBe('q1 a1 b1 a2')
    expect(textsOf(queue.take(bounds))).toBe('a3 a4')
    expect(queue.take(bounds)).toEqual([])
  })

  it.each(['query', 'passage'] as const)(
    'A2: ten thousand texts (%s) of a tenant delay the text of another by one batch at most',
    (purpose) => {
      const queue = createTextQueue({ requestsPerTenantMax: 10 })
      const flood = Array.from({ length: 10_000 }, () => 'x')
      queue.add(request(purpose, flood))
      queue.take(bounds)
      queue.add(request(purpose, ['mine'], 'ten_b'))
      expect(textsOf(queue.take(bounds))).toContain('mine')
    },
  )

  it('A2: a flood of queries does not hold up the passages', () => {
    const queue = createTextQueue({ requestsPerTenantMax: 10 })
    queue.add(
      request(
        'query',
        Array.from({ length: 100 }, () => 'q'),
      ),
    )
    queue.add(request('passage', ['p'], 'ten_b'))
    expect(textsOf(queue.take(bounds))).toBe('q q q p')
  })

  it('A2: a flood of long queries leaves every second batch to a passage, and no batch is longer than a text above its bound', () => {
    const queue = createTextQueue({ requestsPerTenantMax: 10 })
    const long = (name: string) => name.repeat(150)
    queue.add(
      request(
        'query',
        Array.from({ length: 10 }, () => long('q')),
      ),
    )
    queue.add(request('passage', [long('p'), long('r')], 'ten_b'))
    const taken = [1, 2, 3, 4, 5].map(() => queue.take(bounds).map(({ text }) => text.charAt(0)))
    expect(taken).toEqual([['q'], ['p'], ['q'], ['r'], ['q']])
  })

  it('A2: more calls of one tenant than may wait are turned away, and no one of another', () => {
    const queue = createTextQueue({ requestsPerTenantMax: 2 })
    const added = ['ten_a', 'ten_a', 'ten_a', 'ten_b'].map((tenantId) => queue.add(request('query', ['q'], tenantId)))
    expect(added).toEqual([true, true, false, true])
    queue.take(bounds)
    expect(queue.add(request('query', ['q']))).toBe(true)
  })

  it('leaves texts until a bound is reached, and one at least', () => {
    const queue = createTextQueue({ requestsPerTenantMax: 10 })
    queue.add(request('passage', ['x'.repeat(300), 'y'.repeat(60), 'z'.repeat(60)]))
    expect([1, 2, 3].map(() => queue.take(bounds).length)).toEqual([1, 2, 0])
  })

  it('does not leave what was dropped', () => {
    const queue = createTextQueue({ requestsPerTenantMax: 10 })
    const dropped = request('passage', ['a', 'b'])
    queue.add(dropped)
    queue.add(request('passage', ['c']))
    queue.drop(dropped)
    expect(textsOf(queue.take(bounds))).toBe('c')
  })
})
