-- Makes a writer the writer of the store. KEYS[1] meta, KEYS[2..] what is never there without it; ARGV[1] the id of a
-- store that is new, ARGV[2] the writer, ARGV[3] how long it may write without a sign of life (ms), ARGV[4] the format,
-- ARGV[5] what it was before: the id of the store that it lost, or nothing, ARGV[6] its fence then.
-- Returns the id, the fence, 1, the format, and 1 when what else is there is not the store's and is to go; or the holder,
-- until when it holds the store, and three times 0.
local meta = redis.call('HMGET', KEYS[1], 'id', 'fence', 'holder', 'until', 'format', 'step', 'clearing')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if meta[3] and meta[3] ~= ARGV[2] and tonumber(meta[4] or '0') > now then return {meta[3], meta[4], 0, 0, 0} end
if meta[1] and ARGV[5] ~= '' and meta[1] ~= ARGV[5] then
  return redis.error_reply('HWFENCED another store is there now')
end
if meta[5] and tonumber(meta[5]) > tonumber(ARGV[4]) then return redis.error_reply('HWFORMAT ' .. meta[5]) end
local is_new = not meta[1] and ARGV[5] == ''
if is_new then
  for i = 2, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 1 then return redis.error_reply('HWHEADLESS ' .. KEYS[i]) end
  end
end
local id = meta[1] or ARGV[5]
if id == '' then id = ARGV[1] end
local fence, format = math.max(tonumber(meta[2] or '0'), tonumber(ARGV[6])) + 1, meta[5] or ARGV[4]
redis.call('HSET', KEYS[1], 'id', id, 'fence', fence, 'holder', ARGV[2], 'step', meta[6] or '0',
  'until', string.format('%.0f', now + tonumber(ARGV[3])), 'format', format)
-- History that is there already was written by a store that is no more: its numbers are given again.
if is_new then redis.call('HSET', KEYS[1], 'clearing', '1') end
return {id, fence, 1, tonumber(format), (is_new or meta[7]) and 1 or 0}
