"""The scripts that keep, release and take leases, each in one step, by the clock of the server.

Their keys have one hash tag, so they are on one node of a cluster: a sorted set of the calls by when their lease is up,
a hash with the token of each, and a sorted set of the tokens that were released or taken, by when that may be
forgotten. That set has digests: a token is long, and a secret. All expire when they were not used for some time.
"""

from __future__ import annotations

__all__ = ["KEEP", "RELEASE", "TAKE"]

_COMMON = """
local until_, token_of, over = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function is_over(token)
  redis.call('ZADD', over, now + 3600000, redis.sha1hex(token))
  redis.call('PEXPIRE', over, 3600000)
end
"""

KEEP = f"""{_COMMON}
local call, token, seconds = ARGV[1], ARGV[2], ARGV[3]
if redis.call('ZSCORE', over, redis.sha1hex(token)) then return 0 end
redis.call('ZADD', until_, now + seconds, call)
redis.call('HSET', token_of, call, token)
redis.call('PEXPIRE', until_, 86400000)
redis.call('PEXPIRE', token_of, 86400000)
return 1
"""

RELEASE = f"""{_COMMON}
local call, token = ARGV[1], ARGV[2]
local kept = redis.call('HGET', token_of, call)
if token ~= '' then is_over(token) end
if token == '' or token == kept then
  redis.call('ZREM', until_, call)
  redis.call('HDEL', token_of, call)
end
return 0
"""

TAKE = f"""{_COMMON}
redis.call('ZREMRANGEBYSCORE', over, '-inf', now)
local taken = {{}}
for _, call in ipairs(redis.call('ZRANGEBYSCORE', until_, '-inf', now, 'LIMIT', 0, 100)) do
  local token = redis.call('HGET', token_of, call)
  if token then
    redis.call('ZADD', until_, now + ARGV[1], call)
    is_over(token)
    taken[#taken + 1] = {{call, token}}
  else
    redis.call('ZREM', until_, call)
  end
end
return taken
"""
