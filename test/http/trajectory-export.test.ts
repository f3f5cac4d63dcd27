import { beforeAll, describe, expect, it } from 'vitest'
import { addOutput, linesOf, useTrajectories } from '../support/trajectory-http.ts'

describe('the export of trajectories', () => {
  const { policy, http } = useTrajectories()

  describe('exportTrajectories', () => {
    beforeAll(async () => {
      await http().startSession('exp-1', 'exporter')
      await http().run('exp-1', [addOutput('One'), '<answer>a</answer>'])
      await http().call('exp-1', 'A step that no model took')
      await http().run('exp-1', ['<answer>b</answer>'])
      await http().startSession('exp-2', 'exporter')
      await http().run('exp-2', ['<answer>c</answer>'], false)
      await http().reward('exp-1', { key: 'judge', value: 0.25, parts: { task: 0.5 } })
    })

    it('gives one step record for each call of the policy', async () => {
      const response = await http().get('/v1/trajectories/export?agent_id=exporter')
      expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'application/x-ndjson'])
      const records = linesOf(response.payload)
      const places = records.map(({ session_id: id, run, step, is_last_step: last, tools }) => [
        id,
        run,
        step,
        last,
        tools,
      ])
      expect(places).toEqual([
        ['exp-1', 0, 0, false, ['Add_memory']],
        ['exp-1', 0, 1, false, []],
        ['exp-1', 1, 2, true, []],
        ['exp-2', 0, 0, true, []],
      ])
      const said = policy.sent.at(-4)?.reply
      expect(records[0]).toEqual({
        schema: 'agemem.step.v1',
        group_id: null,
        rollout_id: null,
        run: 0,
        step: 0,
        stage: null,
        is_last_step: false,
        prompt_token_ids: said?.promptTokenIds,
        token_ids: said?.tokenIds,
        logprobs: said?.logprobs,
        model_version: null,
        temperature: 0.7,
        finish_reason: 'stop',
        tools: ['Add_memory'],
        trainable: true,
        reward: 0.25,
        reward_parts: { task: 0.5 },
        advantage: null,
        session_id: 'exp-1',
        agent_id: 'exporter',
        step_id: expect.stringMatching(/^stp_/),
      })
    })

    it('gives a call without tokens too, and says that it cannot be learned from', async () => {
      const record = (await http().exported('?agent_id=exporter')).at(-1)
      expect(record).toMatchObject({ trainable: false, token_ids: null, logprobs: null, reward: null })
      expect(record?.unusable).toEqual(expect.stringContaining('no token ids'))
    })

    it('carries the reward of the key asked for; unasked that of default, else of the only key, else none', async () => {
      const rewardOf = async (query = '') => (await http().exported(`?agent_id=exporter${query}`))[0]?.reward
      expect(await rewardOf()).toBe(0.25)
      await http().reward('exp-1', { key: 'second', value: 0.5 })
      expect(await rewardOf()).toBeNull()
      await http().reward('exp-1', { key: 'default', value: 0.75 })
      expect(await rewardOf()).toBe(0.75)
      expect(await rewardOf('&reward_key=second')).toBe(0.5)
      expect(await rewardOf('&reward_key=nobody')).toBeNull()
    })

    it('takes the filters of the list', async () => {
      const idsOf = async (query: string) => [
        ...new Set((await http().exported(`?agent_id=exporter&${query}`)).map(({ session_id: id }) => id)),
      ]
      expect(await idsOf('door=http')).toEqual(['exp-1'])
      expect(await idsOf('has_reward=false')).toEqual(['exp-2'])
      expect(await idsOf('created_before=2020-01-01T00:00:00Z')).toEqual([])
    })
  })
})
