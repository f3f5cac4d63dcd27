/**
 * Places of requests, by who asks. Tenants share those of the process; the operator, who reads the metrics with the key for
 * it, and who reads public pages without a key have places of their own, so that none of them takes a tenant's.
 */
import { systemClock } from '../shared/clock.ts'
import type { AppError } from '../shared/errors.ts'
import {
  overloaded,
  readersInFlight,
  tenantBodyBytesInFlight,
  tenantRequestsInFlight,
  tenantStreamsInFlight,
} from './load-errors.ts'
import { createCompany, createShare, type Share, type ShareBounds } from './shares.ts'

export type PlacesOptions = {
  readonly requestsInFlightMax: number
  readonly requestsInFlightPerTenantMax: number
  readonly bodyBytesInFlightMax: number
  readonly bodyBytesInFlightPerTenantMax: number
  readonly streamsInFlightMax: number
  readonly streamsInFlightPerTenantMax: number
}

/** `name`: the tenant's id, or the address of a stranger; of the other kinds there is one each. */
export type Owner = { readonly kind: 'tenant' | 'operator' | 'scraper' | 'stranger'; readonly name: string }

/** What is taken: requests and streams by number, bodies by bytes. */
export const kinds = ['requests', 'bodyBytes', 'streams'] as const
export type Kind = (typeof kinds)[number]
type Bounds = Readonly<Record<Kind, ShareBounds>>
type Shares = Readonly<Record<Kind, Share>>

/** A tenant is alone when no other has come for so long. */
const aloneMs = 60_000
const scrapesMax = 8

const ownBounds: Readonly<Record<Kind, () => AppError>> = {
  requests: tenantRequestsInFlight,
  bodyBytes: tenantBodyBytesInFlight,
  streams: tenantStreamsInFlight,
}

const tenantBounds = (options: PlacesOptions): Bounds => ({
  requests: { wholeMax: options.requestsInFlightMax, perTenantMax: options.requestsInFlightPerTenantMax },
  bodyBytes: { wholeMax: options.bodyBytesInFlightMax, perTenantMax: options.bodyBytesInFlightPerTenantMax },
  streams: { wholeMax: options.streamsInFlightMax, perTenantMax: options.streamsInFlightPerTenantMax },
})

/** As much as one tenant has, beside what the tenants have. */
const likeOneTenant = ({ requests, bodyBytes, streams }: Bounds): Bounds => {
  const ofOne = ({ perTenantMax }: ShareBounds): ShareBounds => ({ wholeMax: perTenantMax, perTenantMax })
  return { requests: ofOne(requests), bodyBytes: ofOne(bodyBytes), streams: ofOne(streams) }
}

const withRequests = (bounds: Bounds, wholeMax: number, perTenantMax: number): Bounds => ({
  ...bounds,
  requests: { wholeMax, perTenantMax },
})

const sharesOf = (bounds: Bounds, isAlone?: (tenantId: string) => boolean): Shares => ({
  requests: createShare(bounds.requests, isAlone),
  bodyBytes: createShare(bounds.bodyBytes, isAlone),
  streams: createShare(bounds.streams, isAlone),
})

export type Places = ReturnType<typeof createPlaces>

export const createPlaces = (options: PlacesOptions) => {
  const company = createCompany({ monotonicMs: systemClock.monotonicMs, aloneMs })
  const bounds = tenantBounds(options)
  const ofOne = likeOneTenant(bounds)
  const { perTenantMax } = bounds.requests
  const shares: Readonly<Record<Owner['kind'], Shares>> = {
    tenant: sharesOf(bounds, company.isAlone),
    operator: sharesOf(ofOne),
    scraper: sharesOf(withRequests(ofOne, scrapesMax, scrapesMax)),
    // An address has half, so that one alone does not keep all others from the pages.
    stranger: sharesOf(withRequests(ofOne, perTenantMax, Math.ceil(perTenantMax / 2))),
  }
  return {
    isAlone: company.isAlone,
    /** A tenant has come. */
    note: ({ kind, name }: Owner): void => {
      if (kind === 'tenant') company.note(name)
    },
    /** @throws AppError `quota.*_in_flight` (429) at a bound of one's own, `server.overloaded` (503) at that of the process */
    take: ({ kind: whose, name }: Owner, kind: Kind, weight: number): void => {
      const taking = shares[whose][kind].take(name, weight)
      if (taking === 'taken') return
      if (whose === 'stranger' || whose === 'scraper') throw readersInFlight()
      throw taking === 'own bound' ? ownBounds[kind]() : overloaded()
    },
    giveBack: ({ kind: whose, name }: Owner, kind: Kind, weight: number): void =>
      shares[whose][kind].giveBack(name, weight),
    /** Requests with a good key that are under way. */
    inFlight: (): number => shares.tenant.requests.held() + shares.operator.requests.held(),
  }
}
