/**
 * What the server says of the model: that it serves it, and its window. Asked at the first contact, and again after the
 * server was away or did not know the model, since it may have come back with another window.
 */
import type { Logger } from 'pino'
import { isAppError } from '../../shared/errors.ts'
import { isJsonObject } from '../../shared/json-limits.ts'
import { untilAborted } from '../../shared/until-aborted.ts'
import { inferenceMisbehaved, inferenceRefused } from './inference-errors.ts'
import { fieldsOf } from './reply-fields.ts'

const namesMax = 8

/** The window of an adapter (LoRA) is that of the model it belongs to. */
const windowOf = (models: readonly Readonly<Record<string, unknown>>[], name: string): unknown => {
  const found = models.find(({ id }) => id === name)
  return found?.max_model_len ?? models.find(({ id }) => id === found?.parent)?.max_model_len
}

/** @throws AppError `inference.refused` when the model is not served, `inference.misbehaved` */
export const readWindowTokens = (body: unknown, model: string): number => {
  const { data } = fieldsOf(body, 'something that is not a list of models')
  if (!Array.isArray(data)) throw inferenceMisbehaved('something that is not a list of models')
  const models = data.filter(isJsonObject)
  const names = models.flatMap(({ id }) => (typeof id === 'string' && id.length <= 200 ? [id] : []))
  if (!names.includes(model))
    throw inferenceRefused(
      `The model server does not serve the configured model. It serves: ${names.slice(0, namesMax).join(', ')}. Configure one of these.`,
    )
  const window = windowOf(models, model)
  if (!Number.isSafeInteger(window) || Number(window) < 1) throw inferenceMisbehaved('no max_model_len of the model')
  return Number(window)
}

export type ServedModel = {
  /** As last learnt; null: never yet. */
  windowTokens(): number | null
  /** The window, asked for when it is not known or may have changed; all callers share one question. */
  ensureKnown(signal?: AbortSignal): Promise<number>
  forget(): void
}

export type ServedModelOptions = {
  readonly model: string
  readonly logger: Logger
  /** Body of `/v1/models`, in bounded time. */
  readonly listModels: () => Promise<unknown>
}

export const createServedModel = ({ model, logger, listModels }: ServedModelOptions): ServedModel => {
  let windowTokens: number | null = null
  let isKnown = false
  let asking: Promise<number> | null = null
  let loggedCode: string | null = null

  /** Once for each kind of trouble: callers try again and again. */
  const logFailure = (error: unknown): void => {
    const code = isAppError(error) ? error.code : 'unknown'
    if (code !== loggedCode) logger.warn({ model, err: error }, 'the model is not to be had from the model server')
    loggedCode = code
  }

  const ask = async (): Promise<number> => {
    try {
      const found = readWindowTokens(await listModels(), model)
      if (found !== windowTokens || loggedCode !== null)
        logger.info({ model, windowTokens: found }, 'the model server serves the model')
      loggedCode = null
      windowTokens = found
      isKnown = true
      return found
    } catch (error) {
      logFailure(error)
      throw error
    } finally {
      asking = null
    }
  }

  return {
    windowTokens: () => windowTokens,
    ensureKnown: async (signal) => {
      if (isKnown && windowTokens !== null) return windowTokens
      asking ??= ask()
      return untilAborted(asking, signal)
    },
    forget: () => {
      isKnown = false
    },
  }
}
