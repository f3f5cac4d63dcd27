import { AppError, type FieldError } from '../../shared/errors.ts'

export const memoryNotFound = () =>
  new AppError({
    code: 'memory.not_found',
    status: 404,
    detail: 'This agent has no memory with that id. List or search its memories for the ids it has.',
  })

export const memoryVersionNotFound = () =>
  new AppError({
    code: 'memory.version_not_found',
    status: 404,
    detail: 'The memory has no such version. List its versions for those it has.',
  })

export const memoryVersionMismatch = (version: number) =>
  new AppError({
    code: 'memory.version_mismatch',
    status: 412,
    detail: `The memory is at version ${version} now, which If-Match does not name. Read it again and repeat the change with its ETag.`,
  })

export const memoryInvalid = (errors: readonly FieldError[]) =>
  new AppError({
    code: 'memory.invalid',
    status: 422,
    detail: 'The memory cannot be stored as it is. Mend the fields named in errors.',
    errors,
  })

export const queryBlank = () =>
  new AppError({
    code: 'memory.invalid_query',
    status: 422,
    detail: 'The query says nothing: it must hold more than white space.',
    errors: [{ pointer: '/query', detail: 'must hold more than white space' }],
  })

/** Chunks that were stored stay so: the client learns how far it came. */
export const importBrokeOff = ({ created, line }: { created: number; line: number }, cause: unknown) =>
  new AppError({
    code: 'memory.import_broke_off',
    status: 503,
    retryable: true,
    retryAfterSeconds: 1,
    detail: `The import broke off. The lines up to ${line} are dealt with, and ${created} memories of them are stored. Send the lines after them or, if it had an Idempotency-Key, all of it again with that key.`,
    cause,
  })

export const filterInvalid = (detail: string) =>
  new AppError({
    code: 'memory.invalid_filter',
    status: 422,
    detail,
    errors: [{ pointer: '/metadata', detail }],
  })
