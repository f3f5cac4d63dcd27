import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Caller } from '../../src/shared/caller.ts'
import { createTestModules, type TestModules } from '../support/modules.ts'

let modules: TestModules
let caller: Caller

beforeAll(async () => {
  modules = await createTestModules()
  caller = await modules.makeCaller()
})
afterAll(() => modules?.close())

const pagesOf = async (agentId: string): Promise<readonly (readonly string[])[]> => {
  const pages: string[][] = []
  for await (const page of modules.transfer.exportAll(caller, agentId)) pages.push(page.map(({ content }) => content))
  return pages
}

it.each([
  ['long', Array.from({ length: 30 }, (_, at) => `${at} ${'é'.repeat(15_000)}`)],
  ['long among short ones', Array.from({ length: 60 }, (_, at) => `${at} ${'x'.repeat(at % 3 === 0 ? 32_000 : 10)}`)],
  ['short', Array.from({ length: 230 }, (_, at) => `Fact ${at}`)],
])('A2: an export of memories that are %s is whole, and no page of it is above its bounds', async (name, contents) => {
  const agentId = name.replaceAll(' ', '-')
  await modules.memories.addMany(caller, { agentId, memories: contents.map((content) => ({ content })) })
  const pages = await pagesOf(agentId)
  expect(pages.flat().toSorted()).toEqual(contents.toSorted())
  for (const page of pages) {
    expect(page.length).toBeLessThanOrEqual(100)
    expect(Buffer.byteLength(page.slice(0, -1).join(''))).toBeLessThan(262_144)
  }
})
