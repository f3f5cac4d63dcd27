create table session (
  tenant_id text not null,
  session_id text not null,
  agent_id text not null,
  status text not null default 'open' check (status in ('open', 'closed')),
  options jsonb not null default '{}',
  metadata jsonb not null default '{}',
  -- The compare-and-swap of the context: every change of it raises the version by one.
  context_version bigint not null default 0,
  context_tokens bigint not null default 0,
  -- What a read of the whole context takes, kept by the triggers of message.
  context_bytes bigint not null default 0,
  budget_tokens bigint not null,
  next_sequence bigint not null default 0,
  next_step bigint not null default 0,
  -- The policy's run under way, and until when it is believed to live: one run of a session at a time.
  run_id text,
  run_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  closed_at timestamptz,
  bytes bigint not null generated always as (case when metadata = '{}' then 0 else octet_length(metadata::text) end
    + case when options = '{}' then 0 else octet_length(options::text) end) stored,
  primary key (tenant_id, session_id)
);
create index session_by_change on session (tenant_id, updated_at);
create index session_by_agent on session (tenant_id, agent_id, session_id);

create table message (
  tenant_id text not null,
  session_id text not null,
  message_id text not null,
  -- Append order over the whole session.
  sequence bigint not null,
  -- Order in the context: its own sequence, or for a summary that of the first message it replaced.
  context_position bigint not null,
  kind text not null check (kind in ('appended', 'summary', 'recall')),
  role text not null check (role in ('system', 'user', 'assistant', 'tool')),
  content text not null,
  name text,
  tool_calls jsonb,
  tool_call_id text,
  pinned boolean not null default false,
  tokens integer not null,
  state text not null default 'in_context'
    check (state in ('in_context', 'summarized', 'filtered', 'reset', 'undone')),
  -- The edit that took it out of the context; null while it is in.
  edit_id text,
  -- Memories that this message shows to the model: [{memory_id, version}].
  recalled_memories jsonb not null default '[]',
  -- The context version that this message came in with.
  entered_version bigint not null,
  created_at timestamptz not null default now(),
  bytes bigint not null generated always as (octet_length(content) + coalesce(octet_length(name), 0)
    + coalesce(octet_length(tool_calls::text), 0) + coalesce(octet_length(tool_call_id), 0)
    + case when recalled_memories = '[]' then 0 else octet_length(recalled_memories::text) end) stored,
  primary key (tenant_id, session_id, message_id)
);
create unique index message_by_sequence on message (tenant_id, session_id, sequence);
create index message_in_context on message (tenant_id, session_id, context_position) where state = 'in_context';
create index message_by_edit on message (tenant_id, session_id, edit_id) where edit_id is not null;

create table context_edit (
  tenant_id text not null,
  session_id text not null,
  edit_id text not null,
  kind text not null check (kind in ('summary', 'filter', 'reset', 'recall', 'undo')),
  -- The version that the edit made.
  context_version bigint not null,
  -- Taken out with the state they went to, put back, and added, as message ids.
  removed jsonb not null,
  restored_message_ids text[] not null,
  added_message_ids text[] not null,
  tokens_before bigint not null,
  tokens_after bigint not null,
  prefill_from_position integer not null,
  details jsonb not null,
  undone_by text,
  created_at timestamptz not null default now(),
  bytes bigint not null generated always as (octet_length(removed::text) + octet_length(details::text)
    + 36 * (cardinality(restored_message_ids) + cardinality(added_message_ids))) stored,
  primary key (tenant_id, session_id, edit_id)
);
create unique index context_edit_by_version on context_edit (tenant_id, session_id, context_version);
create index context_edit_by_creation on context_edit (tenant_id, created_at);

-- One policy turn, or one call by whichever door, with what it saw, said and changed.
create table step (
  tenant_id text not null,
  session_id text not null,
  step_id text not null,
  step_order bigint not null,
  door text not null check (door in ('http', 'tool_calls', 'mcp', 'policy')),
  think text,
  answer text,
  violations jsonb not null default '[]',
  context_version_before bigint not null,
  context_version_after bigint not null,
  created_at timestamptz not null default now(),
  -- Of a turn of the policy's own model alone; all null otherwise.
  run_id text,
  turn integer,
  model text,
  model_version bigint,
  -- What the prompt was composed of: the version of its texts, the situation that it told, the messages of the context in
  -- order, and functions of the client's own. Messages never change, so these give back what the model saw; json keeps the
  -- order of keys, so that the text of a function stays the text that was sent.
  prompt_version text,
  situation json,
  prompt_message_ids text[],
  client_tools json,
  -- As the server gave them: never tokenised again. token_ids and logprobs have equal length.
  prompt_token_ids integer[],
  output text,
  token_ids integer[],
  logprobs double precision[],
  finish_reason text,
  sampling jsonb,
  usage jsonb,
  bytes bigint not null generated always as (coalesce(octet_length(think), 0) + coalesce(octet_length(answer), 0)
    + case when violations = '[]' then 0 else octet_length(violations::text) end
    + coalesce(octet_length(situation::text), 0) + 36 * coalesce(cardinality(prompt_message_ids), 0)
    + coalesce(octet_length(client_tools::text), 0) + coalesce(octet_length(output), 0)
    + 4 * coalesce(cardinality(prompt_token_ids), 0) + 12 * coalesce(cardinality(token_ids), 0)
    + coalesce(octet_length(sampling::text), 0) + coalesce(octet_length(usage::text), 0)) stored,
  check (coalesce(cardinality(token_ids), -1) = coalesce(cardinality(logprobs), -1)),
  primary key (tenant_id, session_id, step_id)
);
create unique index step_by_order on step (tenant_id, session_id, step_order);
create index step_by_creation on step (tenant_id, created_at);

-- Every reward that was ever attached; the one with the highest order counts of a key.
create table reward (
  tenant_id text not null,
  session_id text not null,
  reward_id text not null,
  reward_key text not null,
  -- Counts the rewards of one key from 1 on, under the lock of the session: clocks of several processes may disagree.
  reward_order bigint not null,
  value double precision not null,
  parts jsonb not null default '{}',
  attached_by text not null,
  created_at timestamptz not null default now(),
  bytes bigint not null generated always as (octet_length(reward_key) + octet_length(parts::text)) stored,
  primary key (tenant_id, session_id, reward_id)
);
create unique index reward_by_key on reward (tenant_id, session_id, reward_key, reward_order);

-- Tokens that a tenant's model calls took, by day (UTC).
create table model_usage (
  tenant_id text not null,
  day date not null,
  calls bigint not null default 0,
  prompt_tokens bigint not null default 0,
  completion_tokens bigint not null default 0,
  primary key (tenant_id, day)
);

create table tool_call (
  tenant_id text not null,
  session_id text not null,
  step_id text not null,
  ordinal integer not null,
  tool_call_id text not null,
  name text not null,
  -- json keeps the order of keys, so that a model reads the same text of a call however often it is read.
  arguments json not null,
  status text not null check (status in ('ok', 'error')),
  -- Did memory or context change? Rewards count these and nothing else.
  effective boolean not null,
  result json,
  problem json,
  created_at timestamptz not null default now(),
  bytes bigint not null generated always as (octet_length(name) + octet_length(arguments::text)
    + coalesce(octet_length(result::text), 0) + coalesce(octet_length(problem::text), 0)) stored,
  primary key (tenant_id, session_id, step_id, ordinal)
);

call isolate_by_tenant('session');
call isolate_by_tenant('message');
call isolate_by_tenant('context_edit');
call isolate_by_tenant('step');
call isolate_by_tenant('tool_call');
call isolate_by_tenant('reward');
call isolate_by_tenant('model_usage');
