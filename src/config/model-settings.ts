/** The language model, and the policy that it plays. */
import { apiKey, choice, httpUrl, number, optionalText } from './setting.ts'

const day = 86_400_000

export const modelSettings = {
  vllmUrl: httpUrl({
    name: 'AGEMEM_VLLM_URL',
    doc: 'vLLM server of the policy. Absent: no model, SUMMARY is extractive and policy routes answer 503.',
  }),
  vllmModel: optionalText({ name: 'AGEMEM_VLLM_MODEL', doc: 'Model to ask the vLLM server for.' }),
  vllmApiKey: apiKey({ name: 'AGEMEM_VLLM_API_KEY', doc: 'Key of the vLLM server.' }),
  vllmTimeoutMs: number({
    name: 'AGEMEM_VLLM_TIMEOUT_MS',
    unit: 'ms',
    default: 120_000,
    minimum: 100,
    maximum: day,
    doc: 'Longest time for one generation, its wait for a place included.',
  }),
  vllmConcurrencyMax: number({
    name: 'AGEMEM_VLLM_CONCURRENCY_MAX',
    unit: 'generations',
    default: 64,
    minimum: 1,
    maximum: 10_000,
    doc: 'Generations under way at once from this process.',
  }),
  vllmConcurrencyPerTenantMax: number({
    name: 'AGEMEM_VLLM_CONCURRENCY_PER_TENANT_MAX',
    unit: 'generations',
    default: 32,
    minimum: 1,
    maximum: 10_000,
    doc: 'The same for one tenant; the rest wait, and tenants take turns.',
  }),
  vllmQueueMax: number({
    name: 'AGEMEM_VLLM_QUEUE_MAX',
    unit: 'generations',
    default: 256,
    minimum: 0,
    maximum: 100_000,
    doc: 'Generations that wait for a place; those above get a 503.',
  }),
  policyFormat: choice({
    name: 'AGEMEM_POLICY_FORMAT',
    default: 'text',
    values: ['text', 'native'],
    doc: "How the policy's model calls tools: tags in its text, which any model can write, or the server's own function calls.",
  }),
  policyStepsMax: number({
    name: 'AGEMEM_POLICY_STEPS_MAX',
    unit: 'turns',
    default: 5,
    minimum: 1,
    maximum: 50,
    doc: 'Turns of a run that does not say.',
  }),
  policyDeadlineMs: number({
    name: 'AGEMEM_POLICY_DEADLINE_MS',
    unit: 'ms',
    default: 120_000,
    minimum: 100,
    maximum: 600_000,
    doc: 'Longest time of a run that does not say.',
  }),
  policyTokensMax: number({
    name: 'AGEMEM_POLICY_TOKENS_MAX',
    unit: 'tokens',
    default: 2_048,
    minimum: 16,
    maximum: 131_072,
    doc: 'Tokens of one turn of the model, where the request does not say.',
  }),
  summaryTimeoutMs: number({
    name: 'AGEMEM_SUMMARY_TIMEOUT_MS',
    unit: 'ms',
    default: 15_000,
    minimum: 100,
    maximum: 600_000,
    doc: "Longest wait for the model's summary; then an extractive one stands in.",
  }),
  policyTemperature: number({
    name: 'AGEMEM_POLICY_TEMPERATURE',
    default: 0.7,
    minimum: 0,
    maximum: 2,
    isInteger: false,
    doc: 'Temperature of the model, where the request does not say. Rollouts for training take 1.',
  }),
  policyResumeMs: number({
    name: 'AGEMEM_POLICY_RESUME_MS',
    unit: 'ms',
    default: 10_000,
    minimum: 0,
    maximum: 600_000,
    doc: 'How long a streamed run goes on when its client has gone, so that it can come back.',
  }),
} as const
