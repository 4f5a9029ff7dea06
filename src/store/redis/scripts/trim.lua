-- Removes the records of a range of hours from strings; returns how many. Then in ARGV the first hour, and the one after
-- the last.
local from, ends, removed = tonumber(take()), tonumber(take()), 0
local blobs = redis.call('MGET', unpack(KEYS, projects + 1))
for i = projects + 1, #KEYS do
  local blob = blobs[i - projects]
  if blob then
    local kept, place = {}, 1
    while place <= #blob do
      local hour = string.byte(blob, place)
      local _, after = span(blob, place)
      if hour >= from and hour < ends then
        removed = removed + 1
      else
        kept[#kept + 1] = string.sub(blob, place, after - 1)
      end
      place = after
    end
    local left = table.concat(kept)
    if left == '' then redis.call('DEL', KEYS[i])
    elseif #left < #blob then redis.call('SET', KEYS[i], left, 'KEEPTTL') end
  end
end
return removed
