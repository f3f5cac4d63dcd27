/**
 * How answers are written. The schema of an answer is compiled to a serializer; a problem document is written by
 * `sendProblem` itself, and compiling its schema for each status of each operation would take most of the start.
 */
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'

type SerializerFactory = ReturnType<typeof SerializerSelector>

const isProblem = (status: string | undefined): boolean => /^[45]/.test(status ?? '')

export const buildSerializer: SerializerFactory = (...given) => {
  const compile = SerializerSelector()(...given)
  return (route) => (isProblem(route.httpStatus) ? JSON.stringify : compile(route))
}
