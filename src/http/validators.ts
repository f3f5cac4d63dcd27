/** How requests are validated: a schema is compiled when it is first used, since compiling all would take most of the start. */
import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import type { App } from './route.ts'

const onFirstUse = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** What is sent is taken as it is. */
const ajvOptions = {
  customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false, useDefaults: false },
}

/** What does not validate is `{ error }` with what was found, the form in which Fastify takes it from any validator. */
export const createValidatorCompiler = (app: Pick<App, 'getSchemas'>): FastifySchemaCompiler<unknown> => {
  const compiler = onFirstUse(() => AjvCompiler()(app.getSchemas() as Record<string, object>, ajvOptions))
  return (route) => {
    const validator = onFirstUse(() => compiler()(route as Parameters<ReturnType<typeof compiler>>[0]))
    return (value: unknown) =>
      validator()(value) === true || { error: validator().errors as FastifySchemaValidationError[] }
  }
}
