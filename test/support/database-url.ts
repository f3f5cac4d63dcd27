export const templateDatabase = 'agemem_template'

export const databaseOf = (url: string): string => /^postgres(?:ql)?:\/\/[^/]*\/([^?]*)/.exec(url)?.[1] ?? ''

/** The same cluster and login, another database: `postgresql://user:password@/name?host=…`. */
export const withDatabase = (url: string, database: string): string =>
  url.replace(/^(postgres(?:ql)?:\/\/[^/]*\/)[^?]*/, `$1${database}`)
