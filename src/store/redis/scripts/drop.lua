-- Removes keys of a project whole; returns how many records of hours they had. What is damaged goes too, uncounted.
local removed = 0
local blobs = redis.call('MGET', unpack(KEYS, projects + 1))
for i = projects + 1, #KEYS do
  local blob, place = blobs[i - projects] or '', 1
  while place <= #blob do
    local is_whole, _, after = pcall(span, blob, place)
    if not is_whole then break end
    removed, place = removed + 1, after
  end
  redis.call('DEL', KEYS[i])
end
return removed
