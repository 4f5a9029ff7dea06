-- Puts records into strings, each in place of what has its hour; an empty one removes it.
-- ARGV: number of parts of projects, each as its place in KEYS and the part; then for each string: its place in KEYS,
-- its lifetime (s), the number of records, and these as hour and record.
local function put(blob, hour, record)
  local place = 1
  while place <= #blob do
    local there = string.byte(blob, place)
    if there < hour then break end
    local _, after = span(blob, place)
    if there == hour then return string.sub(blob, 1, place - 1) .. record .. string.sub(blob, after) end
    place = after
  end
  return string.sub(blob, 1, place - 1) .. record .. string.sub(blob, place)
end
for _ = 1, tonumber(take()) do
  local place, part = tonumber(take()), take()
  redis.call('ZADD', KEYS[place], part, part)
end
local first = tonumber(take())
local blobs = redis.call('MGET', unpack(KEYS, first))
for i = first, #KEYS do
  local lifetime, before = take(), blobs[i - first + 1] or ''
  local blob = before
  for _ = 1, tonumber(take()) do
    local hour = tonumber(take())
    blob = put(blob, hour, take())
  end
  if blob == '' then
    if before ~= '' then redis.call('DEL', KEYS[i]) end
  else
    redis.call('SET', KEYS[i], blob, 'EX', lifetime)
  end
end
return 1
