-- A session that is erased in parts: from the first part on it is there for the erasure alone, and nobody reads it.
alter table session add column erasing boolean not null default false;
