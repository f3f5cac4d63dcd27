import { afterEach, describe, expect, it, vi } from 'vitest'
import { embedderRefused, embedderUnavailable } from '../../../src/drivers/embedder/embedder-errors.ts'
import { withEmbeddingCache } from '../../../src/drivers/embedder/embedding-cache.ts'
import type { Embedder, EmbeddingPurpose, EmbedOptions } from '../../../src/ports/embedder.ts'

type Call = {
  readonly texts: readonly string[]
  readonly purpose: string
  answer(): void
  /** One vector, before the rest. */
  bring(position: number): void
  fail(error: unknown): void
}

/** Records each call; answers at once, or by hand. */
const makeEmbedder = (mode: 'at once' | 'by hand' = 'at once') => {
  const calls: Call[] = []
  const vectorOf = (text: string, purpose: string) => Float32Array.of(text.length, purpose.length, 1, 0)
  const embedder: Embedder = {
    model: 'recorder',
    dimensions: 4,
    thresholds: { filter: 0.5, duplicate: 0.9 },
    embed: (texts, purpose, { signal, onVector } = {}) =>
      new Promise((resolve, reject) => {
        const answer = () => resolve(texts.map((text) => vectorOf(text, purpose)))
        signal?.addEventListener('abort', () => reject(signal.reason))
        const bring = (position: number) => onVector?.(position, vectorOf(texts[position] ?? '', purpose))
        calls.push({ texts, purpose, answer, bring, fail: reject })
        if (mode === 'at once') answer()
      }),
    checkHealth: async () => ({ ready: true, detail: 'here' }),
    close: async () => {},
  }
  return { embedder, calls }
}

const setUp = (mode: 'at once' | 'by hand' = 'at once', maxBytes = 100_000) => {
  const { embedder, calls } = makeEmbedder(mode)
  const shared = withEmbeddingCache(embedder, { maxBytes })
  return {
    shared,
    /** As one tenant uses it. */
    cached: {
      ...shared,
      embed: (texts: readonly string[], purpose: EmbeddingPurpose, options: EmbedOptions = {}) =>
        shared.embed(texts, purpose, { tenantId: 'ten_a', ...options }),
    },
    calls,
    askedTexts: () => calls.map(({ texts }) => texts),
  }
}

describe('the cache', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('A6: keeps what came before a call failed, tells of it, and asks for the rest alone', async () => {
    const { cached, calls, askedTexts } = setUp('by hand')
    const heard: string[] = []
    const onVector = (position: number, vector: Float32Array) => heard.push(`${position} ${vector[0]}`)
    const failing = cached.embed(['a', 'bb', 'a', 'ccc'], 'query', { onVector }).catch((error) => error)
    const joining = cached.embed(['a'], 'query')
    await expect.poll(() => calls.length).toBe(1)
    calls[0]?.bring(0)
    expect([...((await joining)[0] ?? [])]).toEqual([1, 5, 1, 0])
    calls[0]?.fail(embedderUnavailable('late'))
    expect(await failing).toMatchObject({ code: 'embedder.unavailable' })
    expect(heard).toEqual(['0 1', '2 1'])
    const again = cached.embed(['a', 'bb', 'ccc'], 'query')
    await expect.poll(() => calls.length).toBe(2)
    calls[1]?.answer()
    expect((await again).map((vector) => vector[0])).toEqual([1, 2, 3])
    expect(askedTexts()).toEqual([
      ['a', 'bb', 'ccc'],
      ['bb', 'ccc'],
    ])
  })

  it('keeps nothing of texts that come once', async () => {
    const { cached, askedTexts } = setUp()
    for (let time = 0; time < 2; time += 1) await cached.embed(['a'], 'passage', { isOnce: true })
    expect(askedTexts()).toEqual([['a'], ['a']])
  })

  it('A2: asks for no text that comes once and is known, or is being asked for, and gives its vector to who asks meanwhile', async () => {
    const { cached, calls, askedTexts } = setUp('by hand')
    const known = cached.embed(['a'], 'passage')
    const once = cached.embed(['a', 'bb'], 'passage', { isOnce: true })
    const meanwhile = cached.embed(['bb'], 'passage')
    await expect.poll(() => calls.length).toBe(2)
    for (const { answer } of calls) answer()
    expect((await Promise.all([known, once, meanwhile])).map((vectors) => vectors.map(([length]) => length))).toEqual([
      [1],
      [1, 2],
      [2],
    ])
    await cached.embed(['a'], 'passage', { isOnce: true })
    expect(askedTexts()).toEqual([['a'], ['bb']])
  })

  it('asks once for each text and purpose', async () => {
    const { cached, askedTexts } = setUp()
    const first = await cached.embed(['a', 'bb', 'a'], 'query')
    const second = await cached.embed(['bb', 'ccc'], 'query')
    await cached.embed(['a'], 'passage')
    expect(askedTexts()).toEqual([['a', 'bb'], ['ccc'], ['a']])
    expect(first.map(([length]) => length)).toEqual([1, 2, 1])
    expect(second.map(([length]) => length)).toEqual([2, 3])
  })

  it('T1: tells no tenant by its speed what another has asked', async () => {
    const { shared, askedTexts } = setUp()
    for (const tenantId of ['ten_a', 'ten_b', 'ten_a']) await shared.embed(['a'], 'query', { tenantId })
    expect(askedTexts()).toEqual([['a'], ['a']])
    shared.forget?.('ten_b')
    await shared.embed(['a'], 'query', { tenantId: 'ten_a' })
    await shared.embed(['a'], 'query', { tenantId: 'ten_b' })
    expect(askedTexts()).toHaveLength(3)
  })

  it('keeps nothing of texts that are no tenant’s', async () => {
    const { shared, askedTexts } = setUp()
    for (let time = 0; time < 2; time += 1) await shared.embed(['a'], 'query')
    expect(askedTexts()).toHaveLength(2)
  })

  it('a caller that writes into its vector changes nobody else’s', async () => {
    const { cached } = setUp()
    const [mine] = await cached.embed(['a'], 'query')
    mine?.fill(9)
    expect([...((await cached.embed(['a'], 'query'))[0] ?? [])]).toEqual([1, 5, 1, 0])
  })

  it('forgets the least recently used text first, and holds no more than its bound', async () => {
    const { cached, askedTexts } = setUp('at once', 2 * (16 + 250))
    for (const text of ['a', 'b', 'a', 'c', 'a', 'b']) await cached.embed([text], 'query')
    expect(askedTexts()).toEqual([['a'], ['b'], ['c'], ['b']])
  })

  it('with no room it still answers', async () => {
    const { cached, askedTexts } = setUp('at once', 0)
    await cached.embed(['a', 'b'], 'query')
    expect(await cached.embed(['a'], 'query')).toHaveLength(1)
    expect(askedTexts()).toEqual([['a', 'b'], ['a']])
  })

  it('a text that is being embedded is waited for', async () => {
    const { cached, calls, askedTexts } = setUp('by hand')
    const first = cached.embed(['a', 'b'], 'query')
    const second = cached.embed(['b', 'c'], 'query')
    for (const call of calls) call.answer()
    expect(await Promise.all([first, second])).toHaveLength(2)
    expect(askedTexts()).toEqual([['a', 'b'], ['c']])
  })

  it('a call that fails or is aborted takes nobody with it who waited for its texts', async () => {
    const failures: ((call: Call, controller: AbortController) => void)[] = [
      (call) => call.fail(embedderRefused([0])),
      (_, controller) => controller.abort(new Error('gone')),
    ]
    for (const end of failures) {
      const { cached, calls } = setUp('by hand')
      const controller = new AbortController()
      const first = cached.embed(['a', 'b'], 'query', { signal: controller.signal }).catch((error) => error)
      const second = cached.embed(['b'], 'query')
      end(calls[0] as Call, controller)
      expect(await first).toBeInstanceOf(Error)
      await expect.poll(() => calls.length).toBe(2)
      calls[1]?.answer()
      expect((await second)[0]?.[0]).toBe(1)
    }
  })

  it('who waits for another’s call can still be aborted', async () => {
    const { cached } = setUp('by hand')
    void cached.embed(['a'], 'query')
    const controller = new AbortController()
    const second = cached.embed(['a'], 'query', { signal: controller.signal })
    controller.abort(new Error('gone'))
    await expect(second).rejects.toThrow('gone')
  })

  it('refused texts are named by their positions in the caller’s list', async () => {
    const { cached, calls } = setUp('by hand')
    const known = cached.embed(['a'], 'query')
    calls[0]?.answer()
    await known
    const mixed = cached.embed(['a', 'bad', 'c', 'bad'], 'query')
    calls[1]?.fail(embedderRefused([0]))
    await expect(mixed).rejects.toMatchObject({ errors: [{ pointer: '/1' }, { pointer: '/3' }] })
  })

  it('M7: what was told to be forgotten is gone, and so is what was being embedded meanwhile', async () => {
    const { cached, calls, askedTexts } = setUp('by hand')
    const known = cached.embed(['known'], 'query')
    calls[0]?.answer()
    await known
    const underWay = cached.embed(['under way'], 'query')
    cached.forget?.('ten_a')
    calls[1]?.answer()
    expect(await underWay).toHaveLength(1)
    void cached.embed(['known', 'under way'], 'query')
    expect(askedTexts()).toEqual([['known'], ['under way'], ['known', 'under way']])
  })

  it('M7: no text is kept for much longer than ten minutes, however often it comes', async () => {
    vi.useFakeTimers()
    const { cached, askedTexts } = setUp()
    for (let minute = 0; minute < 9; minute += 1) {
      await cached.embed(['a'], 'query')
      vi.advanceTimersByTime(60_000)
    }
    expect(askedTexts()).toHaveLength(1)
    vi.advanceTimersByTime(120_001)
    await cached.embed(['a'], 'query')
    expect(askedTexts()).toHaveLength(2)
    await cached.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('a failure is not remembered', async () => {
    const { cached, calls } = setUp('by hand')
    const first = cached.embed(['a'], 'query')
    calls[0]?.fail(embedderUnavailable('away'))
    await expect(first).rejects.toMatchObject({ code: 'embedder.unavailable' })
    const again = cached.embed(['a'], 'query')
    calls[1]?.answer()
    expect(await again).toHaveLength(1)
  })
})
