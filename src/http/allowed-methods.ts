/** Which methods a path takes, told from the routes as they are registered; for the answer to one that it does not take. */
import type { FastifyInstance } from 'fastify'

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** `/v1/agents/:agent_id`, `/docs/static/*` */
const patternOf = (url: string): RegExp => {
  const segments = url.split('/').map((segment) => {
    if (segment === '*') return '.*'
    return segment.startsWith(':') ? '[^/]+' : escaped(segment)
  })
  return new RegExp(`^${segments.join('/')}$`)
}

/** To be called before the routes. Answers the methods in their order, none for a path that there is not. */
export const watchMethods = (app: FastifyInstance): ((url: string) => readonly string[]) => {
  const routes = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const route = routes.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() }
    routes.set(url, route)
    for (const one of [method].flat()) route.methods.add(one)
  })
  return (url) => {
    const [path = ''] = url.split('?')
    const known = [...routes.values()].filter(({ pattern }) => pattern.test(path))
    const methods = new Set(known.flatMap((route) => [...route.methods]))
    return methods.size === 0 ? [] : [...methods.add('OPTIONS')].sort()
  }
}
