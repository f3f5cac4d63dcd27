export const templateDatabase = 'agemem_template'

/** The same cluster and login, another database: `postgresql://user:password@/name?host=…`. */
export const withDatabase = (url: string, database: string): string =>
  url.replace(/^(postgres(?:ql)?:\/\/[^/]*\/)[^?]*/, `$1${database}`)
