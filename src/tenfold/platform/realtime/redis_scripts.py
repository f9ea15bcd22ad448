"""What the realtime engines have Redis do in one step each.

A stream is two keys: its place `offset:epoch`, and a list of its newest publications, whose last has that offset. On
the wire a publication is `offset:epoch:data`. Every key of a call is in one group.
"""

from tenfold.platform.redis import Script

# KEYS: place, list of each. ARGV: data, how many are kept, for how long (ms), the place's life (ms), an epoch, then the
# channel of each: it is no key, so that a slot on its way to another server does not wait for it to come along.
# A channel without a place has no client that could ask for what it missed; it is passed over if nobody listens either.
PUBLISH = Script("""
local data, size, kept, life, epoch = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
for i = 1, #KEYS, 2 do
  local offset, own
  local channel = ARGV[5 + (i + 1) / 2]
  local place = redis.call('GET', KEYS[i])
  if place then
    offset, own = string.match(place, '^(%d+):(.*)$')
  elseif redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > 0 then
    offset, own = 0, epoch
  end
  if offset then
    local head = string.format('%.0f:%s', offset + 1, own)
    redis.call('SET', KEYS[i], head, 'PX', life)
    if size > 0 then
      if redis.call('RPUSH', KEYS[i + 1], data) > size then redis.call('LTRIM', KEYS[i + 1], -size, -1) end
      redis.call('PEXPIRE', KEYS[i + 1], kept)
    end
    redis.call('SPUBLISH', channel, head .. ':' .. data)
  end
end
return #KEYS / 2
""")

# KEYS: channels. ARGV: the message.
ROUTE = Script("""
for i = 1, #KEYS do redis.call('SPUBLISH', KEYS[i], ARGV[1]) end
return #KEYS
""")

# KEYS: places. ARGV: an epoch for those that are not there, their life (ms), 1 to begin everybody's life anew.
POSITIONS = Script("""
local found = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
  if not found[i] then
    found[i] = '0:' .. ARGV[1]
    redis.call('SET', KEYS[i], found[i], 'PX', ARGV[2])
  elseif ARGV[3] == '1' then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
return found
""")

# KEYS: place, list. ARGV: an epoch, life (ms), after which offset (-1: all), how many (-1: all), 1 to reverse.
# Returns the place, how many are kept, and those asked for, oldest first.
HISTORY = Script("""
local place = redis.call('GET', KEYS[1])
if not place then
  place = '0:' .. ARGV[1]
  redis.call('SET', KEYS[1], place, 'PX', ARGV[2])
  redis.call('DEL', KEYS[2])
end
local top = tonumber(string.match(place, '^(%d+):'))
local kept = redis.call('LLEN', KEYS[2])
local before = top - kept
local since, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local first, last = 0, kept - 1
if ARGV[5] == '1' then
  if since >= 0 then last = math.min(last, since - 1 - before - 1) end
  if limit >= 0 then first = math.max(first, last - limit + 1) end
else
  if since >= 0 then first = math.max(first, since - before) end
  if limit >= 0 then last = math.min(last, first + limit - 1) end
end
if limit == 0 or last < first then return {place, kept, first, {}} end
return {place, kept, first, redis.call('LRANGE', KEYS[2], first, last)}
""")

# KEYS: place, list of each. ARGV: the new epoch, life (ms).
BEGIN_ANEW = Script("""
for i = 1, #KEYS, 2 do
  redis.call('SET', KEYS[i], '0:' .. ARGV[1], 'PX', ARGV[2])
  redis.call('DEL', KEYS[i + 1])
end
return #KEYS / 2
""")

# KEYS: entries of a channel, index of a node, for each. ARGV: client, channel, entry of each.
ENTER = Script("""
for i = 1, #KEYS / 2 do
  local client, channel, entry = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  redis.call('HSET', KEYS[2 * i - 1], client, entry)
  redis.call('SADD', KEYS[2 * i], client .. ' ' .. channel)
end
return #KEYS / 2
""")

# KEYS: entries of a channel, index of a node, for each. ARGV: client, channel of each.
LEAVE = Script("""
for i = 1, #KEYS / 2 do
  redis.call('HDEL', KEYS[2 * i - 1], ARGV[2 * i - 1])
  redis.call('SREM', KEYS[2 * i], ARGV[2 * i - 1] .. ' ' .. ARGV[2 * i])
end
return #KEYS / 2
""")

# KEYS: entries of channels. Returns client, entry of each.
ENTRIES = Script("""
local found = {}
for i = 1, #KEYS do found[i] = redis.call('HGETALL', KEYS[i]) end
return found
""")

# KEYS: indexes of one node. ARGV: how many from each, then what the key of a channel's entries begins with, for each.
# Returns channel, entry of each; what two callers sweep at once, only one of them is told.
SWEEP = Script("""
local swept = {}
for i = 1, #KEYS do
  for _, member in ipairs(redis.call('SPOP', KEYS[i], ARGV[1])) do
    local client, channel = string.match(member, '^(%S+) (.*)$')
    local key = ARGV[i + 1] .. channel
    swept[#swept + 1] = channel
    swept[#swept + 1] = redis.call('HGET', key, client) or ''
    redis.call('HDEL', key, client)
  end
end
return swept
""")

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# The leases of all nodes are a hash of their ends in ms, below zero for a node that is being swept.

# KEYS: the leases. ARGV: node, span (ms). Returns 1 if the node has not been swept.
RENEW_NODE = Script(
    _NOW
    + """
local before = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
return (before and tonumber(before) > 0) and 1 or 0
"""
)

# KEYS: the leases. ARGV: node. Its entries are swept from now on.
EXPIRE_NODE = Script(_NOW + "return redis.call('HSET', KEYS[1], ARGV[1], string.format('-%.0f', now))")

# KEYS: the leases. ARGV: node. One that is alive again stays.
FORGET_NODE = Script(
    _NOW
    + """
local ends = redis.call('HGET', KEYS[1], ARGV[1])
if ends and tonumber(ends) <= now then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""
)

# KEYS: the leases. Returns the nodes that live.
LIVING = Script(
    _NOW
    + """
local leases, living = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #leases, 2 do
  if tonumber(leases[i + 1]) > now then living[#living + 1] = leases[i] end
end
return living
"""
)

# KEYS: the leases. ARGV: for how long after its lease a node is left alone (ms), a random number.
# Returns one of those that are to be swept, marked as such, and when its lease ended (ms); nothing when there is none.
DEAD = Script(
    _NOW
    + """
local leases, dead = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #leases, 2 do
  if tonumber(leases[i + 1]) <= now - ARGV[1] then dead[#dead + 1] = i end
end
if #dead == 0 then return {} end
local at = dead[1 + ARGV[2] % #dead]
local ended = string.format('%.0f', math.abs(tonumber(leases[at + 1])))
redis.call('HSET', KEYS[1], leases[at], '-' .. ended)
return {leases[at], ended}
"""
)

# KEYS: the last activity of users.
LAST_ACTIVE = Script("return redis.call('MGET', unpack(KEYS))")

# KEYS: the last activity of users. ARGV: a moment (s), for how long it is known (s).
SET_LAST_ACTIVE = Script("""
for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1], 'EX', ARGV[2]) end
return #KEYS
""")
