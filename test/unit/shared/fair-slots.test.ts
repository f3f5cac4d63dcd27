import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFairQueue, type FairQueueBounds } from '../../../src/shared/fair-queue.ts'
import { createFairSlots } from '../../../src/shared/fair-slots.ts'

const bounds: FairQueueBounds = { runningMax: 2, runningPerTenantMax: 1, waitingMax: 1_000 }
const waits = { outcome: 'waits', displaced: null }

const take = (queue: { next(): string | undefined }, count: number) => Array.from({ length: count }, () => queue.next())

describe('the fair queue', () => {
  it('A2: a tenant with a thousand waiting calls does not delay the first of another', () => {
    const queue = createFairQueue<string>({ ...bounds, runningMax: 1 })
    for (let call = 0; call < 1_000; call += 1) queue.add('greedy', `greedy ${call}`)
    expect(queue.next()).toBe('greedy 0')
    queue.add('modest', 'modest 0')
    queue.finish('greedy')
    queue.next()
    queue.finish('greedy')
    expect(queue.next()).toBe('modest 0')
  })

  it('tenants take turns, and each is served in the order of its calls', () => {
    const queue = createFairQueue<string>({ ...bounds, runningMax: 6, runningPerTenantMax: 6 })
    for (const item of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) queue.add(item.charAt(0), item)
    expect(take(queue, 7)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', undefined])
  })

  it('a tenant at its bound is passed over and keeps its place', () => {
    const queue = createFairQueue<string>(bounds)
    for (const item of ['a1', 'a2', 'b1', 'c1']) queue.add(item.charAt(0), item)
    expect(take(queue, 3)).toEqual(['a1', 'b1', undefined])
    queue.finish('a')
    expect(queue.next()).toBe('c1')
    queue.finish('b')
    expect(queue.next()).toBe('a2')
  })

  it('a full queue turns the longest line away and lets others in', () => {
    const queue = createFairQueue<string>({ runningMax: 1, runningPerTenantMax: 1, waitingMax: 3 })
    queue.add('a', 'a0')
    queue.next()
    for (const item of ['a1', 'a2', 'a3']) expect(queue.add('a', item)).toEqual(waits)
    expect(queue.add('a', 'a4')).toEqual({ outcome: 'full' })
    expect(queue.add('b', 'b1')).toEqual({ outcome: 'waits', displaced: 'a3' })
    expect(queue.add('b', 'b2')).toEqual({ outcome: 'full' })
    expect(queue.waiting()).toBe(3)
  })

  it('a call that finds a place needs no room in the queue', () => {
    const queue = createFairQueue<string>({ runningMax: 1, runningPerTenantMax: 1, waitingMax: 0 })
    expect(queue.add('a', 'a1')).toEqual(waits)
    expect(queue.next()).toBe('a1')
    expect(queue.add('a', 'a2')).toEqual({ outcome: 'full' })
  })

  it('whatever comes and goes, the bounds hold and nobody waits beside a free place', () => {
    const step = fc.record({
      tenantId: fc.constantFrom('a', 'b', 'c'),
      verb: fc.constantFrom('add', 'finish', 'remove'),
    })
    const limits = { runningMax: 3, runningPerTenantMax: 2, waitingMax: 4 }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = createFairQueue<string>(limits)
        const [waiting, running]: [string[], string[]] = [[], []]
        const drop = (item: string) => waiting.splice(waiting.indexOf(item), 1)
        for (const [serial, { tenantId, verb }] of steps.entries()) {
          const item = `${tenantId}${serial}`
          const ofTenant = (other: string) => other.startsWith(tenantId)
          if (verb === 'add') {
            const admission = queue.add(tenantId, item)
            if (admission.outcome === 'waits') waiting.push(item)
            if (admission.outcome === 'waits' && admission.displaced !== null) drop(admission.displaced)
          } else if (verb === 'finish' && running.some(ofTenant)) {
            running.splice(running.findIndex(ofTenant), 1)
            queue.finish(tenantId)
          } else if (verb === 'remove') {
            const leaving = waiting.find(ofTenant)
            if (leaving !== undefined && queue.remove(tenantId, leaving)) drop(leaving)
          }
          for (let next = queue.next(); next !== undefined; next = queue.next()) running.push(...drop(next))
          expect(queue.waiting()).toBe(waiting.length)
          expect(waiting.length).toBeLessThanOrEqual(limits.waitingMax)
          expect(running.length).toBeLessThanOrEqual(limits.runningMax)
          const runs = (id: string) => running.filter((other) => other.startsWith(id)).length
          for (const id of ['a', 'b', 'c']) expect(runs(id)).toBeLessThanOrEqual(limits.runningPerTenantMax)
          const mayRun = (other: string) => runs(other.charAt(0)) < limits.runningPerTenantMax
          if (running.length < limits.runningMax) expect(waiting.filter(mayRun)).toEqual([])
        }
      }),
    )
  })
})

describe('fair slots', () => {
  const open = new AbortController().signal
  const turnedAway = (seconds: number) => new Error(`full, come back in ${seconds}`)

  it('a call that waits leaves when its signal aborts, and the next gets its place', async () => {
    const slots = createFairSlots({ runningMax: 1, runningPerTenantMax: 1, waitingMax: 10, turnedAway })
    const leave = await slots.enter('a', open)
    const controller = new AbortController()
    const aborted = slots.enter('a', controller.signal)
    const next = slots.enter('b', open)
    controller.abort(new Error('the client went away'))
    await expect(aborted).rejects.toThrow('the client went away')
    leave()
    expect(await next).toBeTypeOf('function')
  })

  it('a full queue says when to come back', async () => {
    const slots = createFairSlots({ runningMax: 1, runningPerTenantMax: 1, waitingMax: 2, turnedAway })
    const leave = await slots.enter('a', open)
    const waiting = [slots.enter('a', open), slots.enter('a', open)]
    await expect(slots.enter('a', open)).rejects.toThrow('full, come back in 2')
    const [, displaced] = waiting
    const other = slots.enter('b', open)
    await expect(displaced).rejects.toThrow('full, come back in 2')
    leave()
    ;(await waiting[0])?.()
    expect(await other).toBeTypeOf('function')
  })

  it('a place that is given back twice is free once', async () => {
    const slots = createFairSlots({ runningMax: 1, runningPerTenantMax: 1, waitingMax: 10, turnedAway })
    const leave = await slots.enter('a', open)
    leave()
    leave()
    await slots.enter('a', open)
    const controller = new AbortController()
    const waiting = slots.enter('b', controller.signal)
    controller.abort(new Error('no second place'))
    await expect(waiting).rejects.toThrow('no second place')
  })
})
