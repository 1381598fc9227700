"""What Redis does as a whole or not at all, in its own language.

Under ``PREFIX:`` lie ``next``, the next place in the order of append; ``messages``, from place to message; ``ids``,
from message id to place; and ``all``, ``owner:…`` and ``session:…``, sorted sets of places.
"""

#: Store messages of one session at the next places, unless an id is taken.
APPEND = """
local prefix = KEYS[1]
local seen = {}
for n = 3, #ARGV, 2 do
  if seen[ARGV[n]] or redis.call('HEXISTS', prefix .. 'ids', ARGV[n]) == 1 then return ARGV[n] end
  seen[ARGV[n]] = true
end
for n = 3, #ARGV, 2 do
  local place = redis.call('INCR', prefix .. 'next')
  redis.call('HSET', prefix .. 'messages', place, ARGV[n + 1])
  redis.call('HSET', prefix .. 'ids', ARGV[n], place)
  for _, set in ipairs({'all', ARGV[1], ARGV[2]}) do redis.call('ZADD', prefix .. set, place, place) end
end
return false
"""

#: Return the places of a set and what lies there, from oldest to newest; the newest so many, if so many are wanted.
READ = """
local prefix, set, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local places = redis.call('ZRANGE', prefix .. set, most and -most or 0, -1)
local found = {}
for start = 1, #places, 1000 do
  local stop = math.min(start + 999, #places)
  local rows = redis.call('HMGET', prefix .. 'messages', unpack(places, start, stop))
  for n, row in ipairs(rows) do
    found[#found + 1] = places[start + n - 1]
    found[#found + 1] = row
  end
end
return found
"""

#: Return the places of ids and what lies there.
READ_IDS = """
local found = {}
for _, id in ipairs(ARGV) do
  local place = redis.call('HGET', KEYS[1] .. 'ids', id)
  if place then
    found[#found + 1] = place
    found[#found + 1] = redis.call('HGET', KEYS[1] .. 'messages', place)
  end
end
return found
"""

#: Write what was made of rows that were read, if nobody has touched them or their target meanwhile.
#: ARGV[1] is JSON: ``target`` and ``size``, the set to which messages move and how many it had; ``old``, from place
#: to what was read; ``drop``, entries of sets and ids to take away; ``put``, rows, ids and entries to write.
REPLACE = """
local prefix, order = KEYS[1], cjson.decode(ARGV[1])
for n = 2, #ARGV, 2 do
  if redis.call('HGET', prefix .. 'messages', ARGV[n]) ~= ARGV[n + 1] then return 0 end
end
for set, size in pairs(order.sizes) do
  if redis.call('ZCARD', prefix .. set) ~= size then return 0 end
end
for _, one in ipairs(order.drop) do
  redis.call('HDEL', prefix .. 'messages', one[1])
  redis.call('HDEL', prefix .. 'ids', one[2])
  for n = 3, 5 do redis.call('ZREM', prefix .. one[n], one[1]) end
end
for _, one in ipairs(order.put) do
  redis.call('HSET', prefix .. 'messages', one[1], one[6])
  redis.call('HSET', prefix .. 'ids', one[2], one[1])
  for n = 3, 5 do redis.call('ZADD', prefix .. one[n], one[1], one[1]) end
end
return 1
"""
