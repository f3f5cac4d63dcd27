-- An older memory of the agent with the same words. Volatile, so that it sees what was committed while its statement waited
-- for the agent's row: a statement itself looks at what was there when it began.
create function find_identical(written memory) returns text language plpgsql volatile as $$
begin
  return (select older.memory_id from memory as older where older.tenant_id = written.tenant_id
    and older.agent_id = written.agent_id and older.content_hash = written.content_hash
    and older.revision < written.revision
    and (older.expires_at is null or older.expires_at > written.created_at) limit 1);
end $$;
