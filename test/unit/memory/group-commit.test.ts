import { describe, expect, it } from 'vitest'
import { createGroupCommit } from '../../../src/modules/memory/group-commit.ts'
import { AppError } from '../../../src/shared/errors.ts'

const signal = new AbortController().signal
const refusal = (detail: string) => new AppError({ code: 'test.refused', status: 422, detail })

/** A store whose commits end when the test says so. */
const makeStore = ({ sizeMax = 10, groupsMax = 3, patienceMs = 60_000 } = {}) => {
  const groups: { tenantId: string; items: readonly string[]; finish(): void; fail(error: unknown): void }[] = []
  const submit = createGroupCommit<string, string>({
    commit: (tenantId, items) =>
      new Promise((resolve, reject) => {
        groups.push({ tenantId, items, finish: () => resolve(items.map((item) => `stored ${item}`)), fail: reject })
      }),
    sizeMax,
    groupsMax,
    patienceMs,
  })
  return { groups, submit }
}

describe('a group commit', () => {
  it('stores an item that finds nothing under way at once and alone', async () => {
    const { groups, submit } = makeStore()
    const stored = submit('a', 'one', signal)
    expect(groups.map(({ items }) => items)).toEqual([['one']])
    groups[0]?.finish()
    expect(await stored).toBe('stored one')
  })

  it('stores together what arrives while a group is under way, and gives each its own result', async () => {
    const { groups, submit } = makeStore()
    const stored = ['one', 'two', 'three'].map((item) => submit('a', item, signal))
    groups[0]?.finish()
    await expect.poll(() => groups.map(({ items }) => items)).toEqual([['one'], ['two', 'three']])
    groups[1]?.finish()
    expect(await Promise.all(stored)).toEqual(['stored one', 'stored two', 'stored three'])
  })

  it('never puts two tenants into one group', () => {
    const { groups, submit } = makeStore()
    void submit('a', 'one', signal)
    void submit('b', 'two', signal)
    expect(groups.map(({ tenantId, items }) => [tenantId, items])).toEqual([
      ['a', ['one']],
      ['b', ['two']],
    ])
  })

  it('keeps groups to their greatest size', async () => {
    const { groups, submit } = makeStore({ sizeMax: 2 })
    for (const item of ['one', 'two', 'three', 'four']) void submit('a', item, signal)
    groups[0]?.finish()
    await expect.poll(() => groups[1]?.items).toEqual(['two', 'three'])
  })

  it('starts another group beside one that takes too long', async () => {
    const { groups, submit } = makeStore({ patienceMs: 1 })
    void submit('a', 'stuck', signal)
    void submit('a', 'waiting', signal)
    await expect.poll(() => groups.map(({ items }) => items)).toEqual([['stuck'], ['waiting']])
  })

  it('repeats a refused group one by one, so that one bad item costs the others nothing', async () => {
    const { groups, submit } = makeStore()
    void submit('a', 'first', signal)
    const good = submit('a', 'good', signal)
    const bad = submit('a', 'bad', signal)
    groups[0]?.finish()
    await expect.poll(() => groups).toHaveLength(2)
    groups[1]?.fail(refusal('one of these is bad'))
    await expect.poll(() => groups.slice(2).map(({ items }) => items)).toEqual([['good'], ['bad']])
    groups[2]?.finish()
    groups[3]?.fail(refusal('bad'))
    expect(await good).toBe('stored good')
    await expect(bad).rejects.toMatchObject({ detail: 'bad' })
  })

  it('tells everybody of a group when the store cannot be reached, and goes on with the next', async () => {
    const { groups, submit } = makeStore()
    void submit('a', 'first', signal)
    const lost = ['one', 'two'].map((item) => submit('a', item, signal))
    groups[0]?.finish()
    await expect.poll(() => groups).toHaveLength(2)
    const gone = new AppError({ code: 'database.unavailable', status: 503, detail: 'gone', retryable: true })
    groups[1]?.fail(gone)
    for (const item of lost) await expect(item).rejects.toBe(gone)
    void submit('a', 'later', signal)
    expect(groups[2]?.items).toEqual(['later'])
  })

  it('leaves out whoever gave up while waiting', async () => {
    const { groups, submit } = makeStore()
    void submit('a', 'first', signal)
    const impatient = new AbortController()
    const left = submit('a', 'left', impatient.signal)
    void submit('a', 'stayed', signal)
    impatient.abort(new Error('gone'))
    groups[0]?.finish()
    await expect(left).rejects.toThrow('gone')
    expect(groups[1]?.items).toEqual(['stayed'])
  })
})
