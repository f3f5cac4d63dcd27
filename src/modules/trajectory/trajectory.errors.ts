import { AppError } from '../../shared/errors.ts'

export const tooManyRewardKeys = (keysMax: number) =>
  new AppError({
    code: 'reward.too_many_keys',
    status: 422,
    detail: `The session has rewards under ${keysMax} keys already. Attach under one of those.`,
  })
