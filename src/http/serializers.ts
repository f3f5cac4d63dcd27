/**
 * How answers are written: as JSON, in pieces where they are large, so that nobody waits for megabytes to be written out.
 * Schemas describe answers and do not write them: what an operation answers with is what its handler says.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { isLargeJson, jsonSteps } from '../shared/json-steps.ts'
import { inSlices, type Steps } from '../shared/yielding.ts'

function* bytesOf(value: object): Steps<readonly Buffer[]> {
  const pieces: Buffer[] = []
  for (const piece of yield* jsonSteps(value)) {
    pieces.push(Buffer.from(piece))
    yield
  }
  return pieces
}

export const registerSerializers = (app: FastifyInstance): void => {
  app.setSerializerCompiler(() => JSON.stringify)
  app.addHook('preSerialization', async (_request, reply, payload) => {
    if (typeof payload !== 'object' || payload === null || !isLargeJson(payload)) return payload
    const pieces = await inSlices(bytesOf(payload))
    void reply.header(
      'Content-Length',
      pieces.reduce((sum, { length }) => sum + length, 0),
    )
    // What fastify takes for a text is a stream to the hooks that come after.
    void reply.serializer((() => Readable.from(pieces)) as unknown as (payload: unknown) => string)
    return payload
  })
}
