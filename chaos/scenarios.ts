/** All scenarios, in the order in which they run. */
import type { Scenario } from './scenario.ts'
import { adversarialTexts } from './scenarios/adversarial-texts.ts'
import { clock } from './scenarios/clock.ts'
import { crossTenant } from './scenarios/cross-tenant.ts'
import { databaseStopped } from './scenarios/database-stopped.ts'
import { diskFull } from './scenarios/disk-full.ts'
import { erasure } from './scenarios/erasure.ts'
import { greedy } from './scenarios/greedy.ts'
import { kill } from './scenarios/kill.ts'
import { oneSession } from './scenarios/one-session.ts'
import { partners } from './scenarios/partners.ts'
import { quotas } from './scenarios/quotas.ts'
import { sockets } from './scenarios/sockets.ts'

export const scenarios: readonly Scenario[] = [
  crossTenant,
  oneSession,
  kill,
  diskFull,
  databaseStopped,
  partners,
  clock,
  sockets,
  adversarialTexts,
  greedy,
  quotas,
  erasure,
]
