import { describe, expect, it } from 'vitest'
import { createKeyLookup } from '../../../src/modules/tenant/key-lookup.ts'
import { createTenantSecret } from '../../../src/modules/tenant/key-secret.ts'
import type { Database } from '../../../src/ports/database.ts'
import { systemClock } from '../../../src/shared/clock.ts'

const secret = createTenantSecret(`ten_${'7'.repeat(32)}`)

/** Says that there is no such key: when it is told to or, once it is well, at once. */
const createSlowDatabase = () => {
  const asked: (() => void)[] = []
  const state = { isWell: false }
  const transact = () =>
    new Promise((resolve) => {
      asked.push(() => resolve(null))
      if (state.isWell) resolve(null)
    })
  return { asked, state, database: { transact } as unknown as Pick<Database, 'transact'> }
}

const start = (lookupTimeoutMs: number) => {
  const { asked, state, database } = createSlowDatabase()
  return { asked, state, lookup: createKeyLookup({ database, clock: systemClock, cacheMs: 0, lookupTimeoutMs }) }
}

describe('a look-up of a key', () => {
  it('that several wait for goes on for the others when one of them is out of time', async () => {
    const { asked, lookup } = start(60_000)
    const hurried = new AbortController()
    const first = lookup.find(secret, { from: 'here', signal: hurried.signal })
    const others = [lookup.find(secret), lookup.find(secret, { from: 'there', signal: new AbortController().signal })]
    await expect.poll(() => asked.length).toBe(1)
    hurried.abort(new Error('out of time'))
    await expect(first).rejects.toThrow('out of time')
    asked[0]?.()
    expect(await Promise.all(others)).toEqual([null, null])
    expect(asked).toHaveLength(1)
  })

  it('whose database stands still ends by itself for all who wait, and who comes after asks anew', async () => {
    const { asked, state, lookup } = start(500)
    const waiting = await Promise.allSettled([lookup.find(secret), lookup.find(secret)])
    const late = { status: 'rejected', reason: { name: 'TimeoutError' } }
    expect(waiting).toMatchObject([late, late])
    expect(asked).toHaveLength(1)
    state.isWell = true
    expect(await lookup.find(secret)).toBeNull()
    expect(asked).toHaveLength(2)
  })

  it('A1: of unknown keys keeps its place until the database has given it up, however often it was asked for', async () => {
    const { asked, lookup } = start(20)
    for (let tries = 0; tries < 4; tries += 1)
      await expect(lookup.find(secret, { from: 'here' })).rejects.toMatchObject({ name: 'TimeoutError' })
    // Two of one address at once.
    expect(asked).toHaveLength(2)
    for (const answer of asked) answer()
    const next = lookup.find(secret, { from: 'here' }).catch(() => undefined)
    await expect.poll(() => asked.length).toBe(3)
    asked[2]?.()
    await next
  })
})
