import { expect, it } from 'vitest'
import { unauthenticated } from '../../../src/http/http-errors.ts'
import { type ImportedLine, readImportedLines } from '../../../src/modules/memory/import-lines.ts'
import { watchLines } from '../../../src/modules/memory/watch-lines.ts'

const linesOf = (count: number): string => Array.from({ length: count }, (_, at) => `{"content":"${at}"}\n`).join('')

/** Reads an import of `count` lines of which one comes each `msPerLine`, by a key that is revoked with line `revokedWith`. */
const importSlowly = async (count: number, msPerLine: number, revokedWith: number) => {
  let nowMs = 0
  let at = 0
  const caller = {
    ensureLive: async (): Promise<void> => {
      if (at >= revokedWith) throw unauthenticated()
    },
  }
  async function* coming(): AsyncGenerator<ImportedLine> {
    for await (const read of readImportedLines(
      (async function* () {
        yield linesOf(count)
      })(),
    )) {
      at += 1
      nowMs += msPerLine
      yield read
    }
  }
  const watched = watchLines(coming(), { caller, clock: { monotonicMs: () => nowMs } })
  let read = 0
  for await (const _ of watched.lines) read += 1
  return { read, ensureWhole: watched.ensureWhole }
}

it.each([
  ['one line a second', 60, 1_000, 20, 19],
  ['ten lines a second', 60, 100, 20, 20],
  ['many lines at once', 1_200, 0, 700, 1_000],
])('an import of %s ends soon after its key was revoked', async (_, count, msPerLine, revokedWith, readMax) => {
  const { read, ensureWhole } = await importSlowly(count, msPerLine, revokedWith)
  expect(read).toBeGreaterThanOrEqual(revokedWith - 1)
  expect(read).toBeLessThanOrEqual(readMax)
  expect(() => ensureWhole({ created: read })).toThrow(expect.objectContaining({ code: 'memory.import_broke_off' }))
  expect(() => ensureWhole({ created: 0 })).toThrow(expect.objectContaining({ code: 'auth.invalid_key' }))
})
