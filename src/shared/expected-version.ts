/** The version that a client knows, or several of which any will do; `*`: whichever is there. */
export type ExpectedVersion = number | '*' | readonly number[]

export const isExpected = (expected: ExpectedVersion, version: number): boolean =>
  expected === '*' || expected === version || (typeof expected === 'object' && expected.includes(version))
