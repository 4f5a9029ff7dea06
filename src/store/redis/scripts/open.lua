-- Makes a writer the writer of the store. KEYS[1] meta; ARGV[1] the id of a store that is new, ARGV[2] the writer,
-- ARGV[3] how long it may write without a sign of life (ms), ARGV[4] the format, ARGV[5] what it was before: the id of
-- the store that it lost, or nothing, ARGV[6] its fence then.
-- Returns the id, the fence and 1; or the holder, until when it holds the store, and 0.
local meta = redis.call('HMGET', KEYS[1], 'id', 'fence', 'holder', 'until', 'format', 'step')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if meta[3] and meta[3] ~= ARGV[2] and tonumber(meta[4] or '0') > now then return {meta[3], meta[4], 0} end
if meta[1] and ARGV[5] ~= '' and meta[1] ~= ARGV[5] then
  return redis.error_reply('HWFENCED another store is there now')
end
if meta[5] and tonumber(meta[5]) > tonumber(ARGV[4]) then return redis.error_reply('HWFORMAT ' .. meta[5]) end
local id = meta[1] or ARGV[5]
if id == '' then id = ARGV[1] end
local fence = math.max(tonumber(meta[2] or '0'), tonumber(ARGV[6])) + 1
redis.call('HSET', KEYS[1], 'id', id, 'fence', fence, 'holder', ARGV[2], 'step', meta[6] or '0',
  'until', string.format('%.0f', now + tonumber(ARGV[3])), 'format', meta[5] or ARGV[4])
return {id, fence, 1}
