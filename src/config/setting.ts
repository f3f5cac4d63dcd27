/** Kinds of settings: how each is read from text, and how it describes itself. */
export type ConfigKey = {
  readonly name: string
  /** What it does, as .env.example says it. */
  readonly doc: string
  /** `ms`, `bytes`, `per second`, …; null where the value has none. */
  readonly unit: string | null
  /** As text; null: absent unless given. */
  readonly default: string | null
  /** Never printed or logged. */
  readonly isSecret: boolean
}

export type Reading<T> = { readonly value: T } | { readonly mistake: string }
export type Setting<T> = { readonly key: ConfigKey; readonly fallback: T; readonly read: (text: string) => Reading<T> }
type Described = { readonly name: string; readonly doc: string }

const keyOf = (
  { name, doc }: Described,
  rest: Partial<Pick<ConfigKey, 'unit' | 'default' | 'isSecret'>> = {},
): ConfigKey => ({
  name,
  doc,
  unit: rest.unit ?? null,
  default: rest.default ?? null,
  isSecret: rest.isSecret ?? false,
})

export const number = (
  options: Described & { unit?: string; default: number; minimum: number; maximum: number; isInteger?: boolean },
): Setting<number> => ({
  key: keyOf(options, {
    ...(options.unit === undefined ? {} : { unit: options.unit }),
    default: String(options.default),
  }),
  fallback: options.default,
  read: (text) => {
    const value = Number(text)
    const { minimum, maximum, isInteger = true } = options
    if (/^-?\d+(\.\d+)?$/.test(text) && value >= minimum && value <= maximum && (!isInteger || Number.isInteger(value)))
      return { value }
    return { mistake: `must be ${isInteger ? 'a whole number' : 'a number'} from ${minimum} to ${maximum}` }
  },
})

/** A number that another part decides when it is absent. */
export const optionalNumber = (options: Described & { minimum: number; maximum: number }): Setting<number | null> => ({
  ...number({ ...options, default: 0, isInteger: false }),
  key: keyOf(options),
  fallback: null,
})

export const text = (options: Described & { default: string; pattern?: RegExp; shape?: string }): Setting<string> => ({
  key: keyOf(options, { default: options.default }),
  fallback: options.default,
  read: (value) =>
    options.pattern === undefined || options.pattern.test(value)
      ? { value }
      : { mistake: `must be ${options.shape ?? 'of another shape'}` },
})

export const optionalText = (
  options: Described & { pattern?: RegExp; shape?: string; isSecret?: boolean },
): Setting<string | null> => ({
  ...text({ ...options, default: '' }),
  key: keyOf(options, { isSecret: options.isSecret ?? false }),
  fallback: null,
})

export const choice = <const Value extends string>(
  options: Described & { default: NoInfer<Value>; values: readonly Value[] },
): Setting<Value> => ({
  key: keyOf(options, { default: options.default }),
  fallback: options.default,
  read: (given) => {
    const value = options.values.find((one) => one === given)
    return value === undefined ? { mistake: `must be one of ${options.values.join(', ')}` } : { value }
  },
})

export const httpUrl = (options: Described): Setting<string | null> => ({
  key: keyOf(options),
  fallback: null,
  read: (given) =>
    URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)
      ? { value: given.replace(/\/+$/, '') }
      : { mistake: 'must be a URL that starts with http:// or https://' },
})

/** May hold a password, so it counts as a secret. */
export const databaseUrl = (options: Described): Setting<string | null> =>
  optionalText({
    ...options,
    pattern: /^postgres(ql)?:\/\/\S+$/,
    shape: 'a URL that starts with postgresql://',
    isSecret: true,
  })

export const apiKey = (options: Described): Setting<string | null> =>
  optionalText({ ...options, pattern: /^[\x21-\x7e]+$/, shape: 'visible ASCII without spaces', isSecret: true })

/** As a bearer token may look (RFC 6750, section 2.1). */
export const bearerKey = (options: Described): Setting<string | null> =>
  optionalText({
    ...options,
    pattern: /^[A-Za-z0-9._~+/-]{16,512}=*$/,
    shape: '16 to 512 letters, digits and -._~+/ (take 256 random bits)',
    isSecret: true,
  })
