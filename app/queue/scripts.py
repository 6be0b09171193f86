"""What must happen to a job in one step, as Lua: place, cancel, promote.

They write RQ's own keys (`rq:job:`, `rq:queue:`, `rq:scheduled:`), so RQ's tools see these jobs
like any other. RQ does the same in several steps and loses an order that is replaced in between.
"""

from __future__ import annotations

from rq import Queue
from rq.job import Job
from rq.registry import ScheduledJobRegistry

JOB_PREFIX: str = Job.redis_job_namespace_prefix
QUEUE_PREFIX: str = Queue.redis_queue_namespace_prefix
QUEUES_KEY: str = Queue.redis_queues_keys


def job_key(job_id: str) -> str:
    return JOB_PREFIX + job_id


def queue_key(queue: str) -> str:
    return QUEUE_PREFIX + queue


def scheduled_key(queue: str) -> str:
    return str(ScheduledJobRegistry.key_template.format(queue))


_FORGET = """
local function forget(id, job)
  local origin = redis.call('HGET', job, 'origin')
  if origin then
    redis.call('ZREM', 'rq:scheduled:' .. origin, id)
    redis.call('LREM', 'rq:queue:' .. origin, 0, id)
  end
  redis.call('DEL', job)
end
"""

#: KEYS job, queue, scheduled, queues; ARGV id, score ('' for now), mode, then the job's fields.
#: Mode "front" gives a job back unless a newer order for the same id has been placed meanwhile.
#: A job that already waits in line keeps its place: being asked for again must not send it back.
PLACE = (
    _FORGET
    + """
local id, score, mode = ARGV[1], ARGV[2], ARGV[3]
if mode == 'front' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if score == '' and redis.call('LPOS', KEYS[2], id) then
  local data = redis.call('HGET', KEYS[1], 'data')
  for i = 4, #ARGV, 2 do
    if ARGV[i] == 'data' and ARGV[i + 1] == data then return 0 end
  end
end
forget(id, KEYS[1])
redis.call('ZREM', KEYS[3], id)
redis.call('LREM', KEYS[2], 0, id)
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('SADD', KEYS[4], KEYS[2])
if score ~= '' then
  redis.call('ZADD', KEYS[3], score, id)
elseif mode == 'front' then
  redis.call('LPUSH', KEYS[2], id)
else
  redis.call('RPUSH', KEYS[2], id)
end
return 1
"""
)

#: KEYS jobs; ARGV ids.
CANCEL = _FORGET + "for i, id in ipairs(ARGV) do forget(id, KEYS[i]) end"

#: KEYS scheduled, queue; ARGV now (seconds), now (RQ's text), limit. Moves what is due into line.
PROMOTE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do
  redis.call('ZREM', KEYS[1], id)
  local job = 'rq:job:' .. id
  if redis.call('EXISTS', job) == 1 then
    redis.call('HSET', job, 'status', 'queued', 'enqueued_at', ARGV[2])
    if not redis.call('LPOS', KEYS[2], id) then redis.call('RPUSH', KEYS[2], id) end
  end
end
return #due
"""

#: KEYS job; ARGV none. Hands over the job's fields and frees its id.
CLAIM = """
local fields = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return fields
"""
