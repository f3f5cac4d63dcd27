/** Versions as strong entity tags (RFC 9110, sections 8.8.3 and 13.1.1): `"v3"`. */
import { AppError } from '../shared/errors.ts'

export const etagOf = (version: number): string => `"v${version}"`

const invalidIfMatch = () =>
  new AppError({
    code: 'request.invalid_if_match',
    status: 400,
    detail: 'If-Match must be * or an ETag that this service gave, such as "v3".',
    errors: [{ pointer: '/headers/if-match', detail: 'must be * or an ETag such as "v3"' }],
  })

/** The version that the client knows, `*` for any, null without the header. */
export const parseIfMatch = (header: string | undefined): number | '*' | null => {
  if (header === undefined) return null
  const text = header.trim()
  if (text === '*') return '*'
  const version = /^"v(\d{1,15})"$/.exec(text)?.[1]
  if (version === undefined) throw invalidIfMatch()
  return Number(version)
}

/** For writes that would overwrite: @throws AppError `request.if_match_required` (428) without the header */
export const requireIfMatch = (header: string | undefined): number | '*' => {
  const expected = parseIfMatch(header)
  if (expected !== null) return expected
  throw new AppError({
    code: 'request.if_match_required',
    status: 428,
    detail: 'Send If-Match with the ETag of the version that you read, or * to write whatever is there.',
  })
}
