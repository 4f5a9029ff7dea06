-- Ends a fold: its hours are there, and the frames before the end of the hour go. KEYS[2] hours with frames, KEYS[3..]
-- frames of the hours that are to go, the oldest first; ARGV: end of the hour (hour, second), the hours of KEYS[3..].
local ends, second = take(), tonumber(take())
redis.call('HSET', KEYS[1], 'step', ARGV[4], 'until', lease())
for i = 3, #KEYS do
  local hour, kept, frame = take(), nil, nil
  if i == #KEYS then
    -- The last frame stays when it speaks of seconds after the end, too.
    for _, tick in ipairs(redis.call('HKEYS', KEYS[i])) do
      if not kept or tonumber(tick) > tonumber(kept) then kept = tick end
    end
    if kept then
      frame = redis.call('HGET', KEYS[i], kept)
      if tonumber(string.match(frame, '^(%d+) ')) < second then kept = nil end
    end
  end
  if kept then
    local lifetime = redis.call('TTL', KEYS[i])
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], kept, frame)
    if lifetime > 0 then redis.call('EXPIRE', KEYS[i], lifetime) end
  else
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[2], hour)
  end
end
local until_hour = redis.call('HGET', KEYS[1], 'folded_until')
if not until_hour or tonumber(until_hour) < tonumber(ends) then redis.call('HSET', KEYS[1], 'folded_until', ends) end
return 1
