/** What every embedder promises; each driver's test runs it on its own. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Embedder } from '../../src/ports/embedder.ts'

const dot = (one: Float32Array | undefined, other: Float32Array | undefined): number =>
  (one ?? new Float32Array(0)).reduce((sum, value, index) => sum + value * (other?.[index] ?? 0), 0)

const lengthOf = (vector: Float32Array | undefined): number => Math.sqrt(dot(vector, vector))

const sentences = [
  'The user lives in Lisbon.',
  'The build fails with a type error in the parser.',
  'Bruno is afraid of thunder and hides under the table.',
  'Rents have gone up by nine percent since spring.',
]

/** Server models add in another order for each batch: vectors of one text agree to this much, not to the bit. */
const sameText = 0.999

export const describeEmbedderContract = (name: string, makeEmbedder: () => Promise<Embedder>): void => {
  describe(`${name} keeps the embedder contract`, () => {
    let embedder: Embedder
    beforeAll(async () => {
      embedder = await makeEmbedder()
    })
    afterAll(() => embedder.close())

    it('says its model, its dimensions and thresholds that a cosine can reach', async () => {
      await embedder.embed(['hello'], 'query')
      expect(embedder.model).not.toBe('')
      expect(embedder.dimensions).toBeGreaterThan(0)
      for (const threshold of [embedder.thresholds.filter, embedder.thresholds.duplicate]) {
        expect(threshold).toBeGreaterThan(0)
        expect(threshold).toBeLessThanOrEqual(1)
      }
    })

    it.each(['query', 'passage'] as const)('a %s has one unit vector, in the order of the texts', async (purpose) => {
      const together = await embedder.embed(sentences, purpose)
      expect(together).toHaveLength(sentences.length)
      for (const [index, sentence] of sentences.entries()) {
        const [alone] = await embedder.embed([sentence], purpose)
        expect(together[index]).toHaveLength(embedder.dimensions)
        expect(lengthOf(together[index])).toBeCloseTo(1, 5)
        expect(dot(alone, together[index])).toBeGreaterThan(sameText)
      }
    })

    it('the same text always has the same vector', async () => {
      const [first, again] = await embedder.embed(['Green tea, no sugar.', 'Green tea, no sugar.'], 'passage')
      const [later] = await embedder.embed(['Green tea, no sugar.'], 'passage')
      expect(dot(first, again)).toBeGreaterThan(sameText)
      expect(dot(first, later)).toBeGreaterThan(sameText)
    })

    it('a restatement is nearer than another matter', async () => {
      const [one, restated, other] = await embedder.embed(
        ['The user lives in Lisbon.', 'The home of the user is in Lisbon.', 'Bake the bread for forty minutes.'],
        'passage',
      )
      expect(dot(one, restated)).toBeGreaterThan(dot(one, other))
    })

    it('no texts have no vectors', async () => {
      expect(await embedder.embed([], 'query')).toEqual([])
    })

    it('a blank text has a zero vector, wherever it stands, and its neighbours keep theirs', async () => {
      const vectors = await embedder.embed(['', 'one', ' \n\t ', 'two', '', '　'], 'passage')
      expect(vectors.map((vector) => vector.length)).toEqual(Array(6).fill(embedder.dimensions))
      expect(vectors.map((vector) => Math.round(lengthOf(vector)))).toEqual([0, 1, 0, 1, 0, 0])
      expect((await embedder.embed([' '], 'query')).map(lengthOf)).toEqual([0])
    })

    it('any Unicode text has a vector of finite numbers', async () => {
      const text = fc.string({ unit: 'binary', maxLength: 40 })
      await fc.assert(
        fc.asyncProperty(fc.array(text, { maxLength: 6 }), async (texts) => {
          const vectors = await embedder.embed(texts, 'passage')
          expect(vectors).toHaveLength(texts.length)
          for (const [index, vector] of vectors.entries())
            expect(lengthOf(vector)).toBeCloseTo(texts[index]?.trim() === '' ? 0 : 1, 4)
        }),
        { numRuns: 15 },
      )
    })

    it('three hundred texts come back in order', async () => {
      const texts = Array.from(
        { length: 300 },
        (_, index) => `Box ${index} holds ${sentences[index % 4]?.slice(0, 20)}`,
      )
      const vectors = await embedder.embed(texts, 'passage')
      expect(vectors).toHaveLength(300)
      for (const index of [0, 31, 64, 150, 299]) {
        const [alone] = await embedder.embed([texts[index] ?? ''], 'passage')
        expect(dot(alone, vectors[index])).toBeGreaterThan(sameText)
      }
    }, 120_000)

    it('a text far too long has a vector or is refused, in time', async () => {
      const long = embedder.embed(['short', 'many words about one thing '.repeat(4_000)], 'passage').then(
        (vectors) => vectors.map((vector) => Math.round(lengthOf(vector))),
        (error) => [error.code, error.errors[0]?.pointer],
      )
      expect([
        [1, 1],
        ['embedder.refused', '/1'],
      ]).toContainEqual(await long)
    }, 60_000)

    it('an aborted call ends with the reason of its signal, and others go on', async () => {
      const texts = Array.from({ length: 200 }, (_, index) => `Shelf ${index} is empty and waits for books.`)
      const controller = new AbortController()
      const aborted = embedder.embed(texts, 'passage', { signal: controller.signal })
      const other = embedder.embed(['still here'], 'passage')
      controller.abort(new Error('the client went away'))
      await expect(aborted).rejects.toThrow('the client went away')
      await expect(embedder.embed(['x'], 'query', { signal: controller.signal })).rejects.toThrow('went away')
      expect(await other).toHaveLength(1)
    })

    it('calls side by side get the vectors of their own texts', async () => {
      const calls = Array.from({ length: 12 }, (_, index) => [`Drawer ${index}`, sentences[index % 4] ?? ''])
      const answers = await Promise.all(calls.map((texts) => embedder.embed(texts, 'query')))
      const [alone] = await embedder.embed(['Drawer 7'], 'query')
      expect(dot(answers[7]?.[0], alone)).toBeGreaterThan(sameText)
      expect(dot(answers[7]?.[1], answers[3]?.[1])).toBeGreaterThan(sameText)
    })

    it('is ready once it has answered', async () => {
      await embedder.embed(['ready?'], 'query')
      const health = await embedder.checkHealth()
      expect(health.ready).toBe(true)
      expect(health.detail).not.toBe('')
    })

    it('a closed embedder fails what waits, answers nothing more, and may be closed again', async () => {
      const closing = await makeEmbedder()
      const waiting = closing.embed(sentences, 'passage').catch((error) => error)
      await closing.close()
      await closing.close()
      const late = await closing.embed(['late'], 'query').catch((error) => error)
      expect([await waiting, late]).toMatchObject([{ code: 'embedder.unavailable' }, { code: 'embedder.unavailable' }])
      expect((await closing.checkHealth()).ready).toBe(false)
    })
  })
}
