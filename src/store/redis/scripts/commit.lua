-- A second. KEYS[2] keys, KEYS[3] projects, KEYS[4] workers, KEYS[5] hours with frames, KEYS[6..] frames of an hour.
local first, other = check_keys(KEYS[2])
if other then return redis.error_reply('HWKEY ' .. other) end
redis.call('HSET', KEYS[1], 'step', ARGV[4], 'until', lease())
add_keys(first, KEYS[2], KEYS[3])
local lifetime = take()
for i = 6, #KEYS do
  local hour, count = take(), tonumber(take())
  redis.call('HSET', KEYS[i], unpack(ARGV, at, at + 2 * count - 1))
  at = at + 2 * count
  redis.call('EXPIRE', KEYS[i], lifetime)
  redis.call('ZADD', KEYS[5], hour, hour)
end
for _, command in ipairs({'SADD', 'SREM'}) do
  for _ = 1, tonumber(take()) do redis.call(command, KEYS[4], take()) end
end
return 1
