import { expect, test } from 'vitest'
import { callUrlOf, listenUrlOf } from '../../../src/shared/listen-address.ts'

test.each([
  ['0.0.0.0', 'http://0.0.0.0:8080', 'http://127.0.0.1:8080'],
  ['::', 'http://[::]:8080', 'http://[::1]:8080'],
  ['127.0.0.1', 'http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ['::1', 'http://[::1]:8080', 'http://[::1]:8080'],
  ['agemem.example', 'http://agemem.example:8080', 'http://agemem.example:8080'],
])('a service that listens on %s is called at an address that a client can go to', (host, listens, called) => {
  expect([listenUrlOf({ host, port: 8080 }), callUrlOf({ host, port: 8080 })]).toEqual([listens, called])
})
