/** Versions as strong entity tags (RFC 9110, sections 8.8.3 and 13.1.1): `"v3"`. */
import { AppError } from '../shared/errors.ts'
import type { ExpectedVersion } from '../shared/expected-version.ts'

export const etagOf = (version: number): string => `"v${version}"`

const invalidIfMatch = () =>
  new AppError({
    code: 'request.invalid_if_match',
    status: 400,
    detail: 'If-Match must be * or ETags in their quotes, such as "v3".',
    errors: [{ pointer: '/headers/if-match', detail: 'must be * or ETags in quotes, such as "v3"' }],
  })

const entityTag = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"'
const entityTags = new RegExp(`^${entityTag}(?:[ \\t]*,[ \\t]*${entityTag})*$`)
const ownTag = /(?<!W\/)"v(\d{1,15})"/g

/**
 * The versions that the client knows, `*` for any, null without the header. Tags that are weak, or not of this service,
 * are none of any version: the comparison is the strong one.
 */
export const parseIfMatch = (header: string | undefined): ExpectedVersion | null => {
  if (header === undefined) return null
  const text = header.trim()
  if (text === '*') return '*'
  if (!entityTags.test(text)) throw invalidIfMatch()
  return [...text.matchAll(ownTag)].map(([, version]) => Number(version))
}

/** For writes that would overwrite: @throws AppError `request.if_match_required` (428) without the header */
export const requireIfMatch = (header: string | undefined): ExpectedVersion => {
  const expected = parseIfMatch(header)
  if (expected !== null) return expected
  throw new AppError({
    code: 'request.if_match_required',
    status: 428,
    detail: 'Send If-Match with the ETag of the version that you read, or * to write whatever is there.',
  })
}
