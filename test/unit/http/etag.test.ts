import { describe, expect, it } from 'vitest'
import { etagOf, parseIfMatch } from '../../../src/http/etag.ts'
import { isExpected } from '../../../src/shared/expected-version.ts'

describe('If-Match', () => {
  const matches = (header: string, version: number) => {
    const expected = parseIfMatch(header)
    return expected !== null && isExpected(expected, version)
  }

  it.each(['*', ' * ', '"v3"', '"v2", "v3"', '"v3","v4"', 'W/"v3", "v3"', '"a,b", "v3"', '"", "v3"'])(
    'of %s is met by version 3',
    (header) => expect(matches(header, 3)).toBe(true),
  )

  it.each(['"v2"', '"v33"', '"v2", "v4"', 'W/"v3"', '"3"', '"x"', '""', '"av3"', '"W/v3"', '"v9999999999999999999"'])(
    'of %s is not met by version 3: the comparison is strong, and foreign tags are of no version',
    (header) => expect(matches(header, 3)).toBe(false),
  )

  it.each(['', 'v3', '3', "'v3'", '"v3', '"v3" "v4"', '"v3",', '*, "v3"', '"v 3"', 'w/"v3"'])(
    'of %j is no list of entity tags and is refused',
    (header) => expect(() => parseIfMatch(header)).toThrowError('request.invalid_if_match'),
  )

  it('absent says nothing, and the tag of a version is met by that version', () => {
    expect(parseIfMatch(undefined)).toBeNull()
    expect(matches(etagOf(0), 0)).toBe(true)
  })

  it('is read in linear time', () => {
    const header = `${'"v1", '.repeat(170)}x`
    expect(() => parseIfMatch(header)).toThrowError('request.invalid_if_match')
  })
})
