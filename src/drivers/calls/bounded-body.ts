/**
 * Bounds what a partner's answer may take. A server that answers without end, or sends a small body that unpacks into a
 * huge one, costs no more than the bound; time is bounded by the signal of the fetch, which holds while the body comes.
 */
export class BodyTooLong extends Error {
  constructor(bytesMax: number) {
    super(`the answer is longer than ${bytesMax} bytes`)
    this.name = 'BodyTooLong'
  }
}

/** What an error of a server may take; what comes after is cut off. */
const errorBytesMax = 65_536

type Bound = { readonly bytesMax: number; readonly atEnd: 'fail' | 'cut' }

const boundBody = (body: ReadableStream<Uint8Array>, { bytesMax, atEnd }: Bound): ReadableStream<Uint8Array> => {
  const reader = body.getReader()
  let bytes = 0
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await reader.read()
      if (done) return controller.close()
      bytes += value.byteLength
      if (bytes <= bytesMax) return controller.enqueue(value)
      const tooLong = new BodyTooLong(bytesMax)
      await reader.cancel(tooLong).catch(() => undefined)
      if (atEnd === 'fail') controller.error(tooLong)
      else controller.close()
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

/**
 * The same answer with a body of at most `bytesMax` bytes, counted as they come unpacked: reading more throws
 * `BodyTooLong`. The body of an error is cut off instead.
 */
export const boundResponse = (response: Response, bytesMax: number): Response => {
  const { status, statusText, body } = response
  if (body === null) return response
  const bound: Bound = response.ok
    ? { bytesMax, atEnd: 'fail' }
    : { bytesMax: Math.min(bytesMax, errorBytesMax), atEnd: 'cut' }
  const headers = new Headers(response.headers)
  // What is read is unpacked already.
  headers.delete('content-encoding')
  headers.delete('content-length')
  return new Response(boundBody(body, bound), { status, statusText, headers })
}

/** Does an error come from a body that was too long, by whatever it was wrapped in? */
export const isBodyTooLong = (error: unknown): boolean =>
  error instanceof Error && (error instanceof BodyTooLong || isBodyTooLong(error.cause))
