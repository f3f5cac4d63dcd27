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
    detail: `The memory has changed: it is at version ${version} now. Read it again and repeat the change with its new ETag.`,
  })

export const memoryInvalid = (errors: readonly FieldError[]) =>
  new AppError({
    code: 'memory.invalid',
    status: 422,
    detail: 'The memory cannot be stored as it is. Mend the fields named in errors.',
    errors,
  })

export const filterInvalid = (detail: string) =>
  new AppError({
    code: 'memory.invalid_filter',
    status: 422,
    detail,
    errors: [{ pointer: '/metadata', detail }],
  })
