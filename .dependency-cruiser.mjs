/** The house's walls: which room may know which. */
const modules = 'src/modules'

/** Each module with the modules it may import; what is not listed here is forbidden. */
const allowed = {
  idempotency: [],
  tenant: ['idempotency'],
  agent: ['tenant', 'idempotency'],
  indexing: [],
  memory: ['indexing', 'agent', 'tenant', 'idempotency'],
  session: ['agent', 'tenant', 'idempotency'],
  context: ['session', 'agent', 'tenant', 'idempotency'],
  trajectory: ['context', 'session', 'agent', 'tenant', 'idempotency'],
  policy: ['tool', 'context', 'memory', 'trajectory', 'session', 'agent', 'tenant', 'idempotency'],
  chat: ['policy', 'tool', 'context', 'memory', 'trajectory', 'session', 'agent', 'tenant', 'idempotency'],
  tool: ['context', 'memory', 'trajectory', 'session', 'agent', 'tenant', 'idempotency'],
}

const moduleRules = Object.entries(allowed).map(([name, others]) => ({
  name: `${name}-imports-only-below`,
  severity: 'error',
  from: { path: `^${modules}/${name}/` },
  to: { path: `^${modules}/`, pathNot: `^${modules}/(${[name, ...others].join('|')})/` },
}))

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src', pathNot: '^src/(main|cli/)' }, to: {} },
    {
      name: 'modules-know-no-drivers',
      severity: 'error',
      from: { path: `^${modules}` },
      to: { path: '^src/(drivers|open-drivers|services|compose|app|main|config|cli)' },
    },
    { name: 'drivers-know-ports-only', severity: 'error', from: { path: '^src/drivers/' }, to: { path: '^src/(modules|http|services|app|main|config|cli)' } },
    { name: 'ports-know-shared-only', severity: 'error', from: { path: '^src/ports' }, to: { path: '^src/(?!ports|shared)' } },
    { name: 'shared-knows-nothing', severity: 'error', from: { path: '^src/shared' }, to: { path: '^src/(?!shared)' } },
    {
      name: 'only-the-composition-root-names-drivers',
      severity: 'error',
      from: { path: '^src', pathNot: '^src/(open-drivers|drivers/)' },
      to: { path: '^src/drivers/' },
    },
    {
      name: 'only-routes-and-the-edge-know-http',
      severity: 'error',
      from: { path: `^${modules}`, pathNot: '\\.routes\\.ts$' },
      to: { path: '^(src/http|node_modules/(fastify|@fastify))' },
    },
    {
      name: 'only-the-app-opens-the-door-of-mcp',
      severity: 'error',
      from: { path: '^src', pathNot: '^src/(app\\.ts|mcp/)' },
      to: { path: '^src/mcp/' },
    },
    ...moduleRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.json'] },
  },
}
