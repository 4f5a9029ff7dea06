-- What every step on {0} begins with: is this the store that the writer opened, and is it still its writer?
-- KEYS[1] meta; ARGV[1] id of the store, ARGV[2] fence of the writer, ARGV[3] its last step that was acknowledged,
-- ARGV[4] this step, ARGV[5] how long it may write without a sign of life (ms).
local meta = redis.call('HMGET', KEYS[1], 'id', 'fence', 'step', 'change', 'audit_end')
if meta[1] ~= ARGV[1] then
  if meta[1] then return redis.error_reply('HWFENCED another store is there now') end
  return redis.error_reply('HWLOST it was emptied')
end
local fence = tonumber(meta[2])
if fence > tonumber(ARGV[2]) then return redis.error_reply('HWFENCED another highwater writes it now') end
if fence < tonumber(ARGV[2]) or tonumber(meta[3]) < tonumber(ARGV[3]) then
  return redis.error_reply('HWLOST it went back to an earlier state')
end
local token = ARGV[2] .. ':' .. ARGV[4]
local at = 6
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function lease()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[5]))
end
-- Keys are `count` times number, row and project, checked before anything is written; a number that has a key keeps it.
local function check_keys(keys)
  local count = tonumber(take())
  local first = at
  at = at + 3 * count
  for i = first, at - 1, 3 do
    local row = redis.call('HGET', keys, ARGV[i])
    if row and row ~= ARGV[i + 1] then return first, ARGV[i] end
  end
  return first, nil
end
local function add_keys(first, keys, projects)
  local count = tonumber(ARGV[first - 1])
  for i = first, first + 3 * count - 1, 3 do
    redis.call('HSET', keys, ARGV[i], ARGV[i + 1])
    -- A project's number is never used again; `projects_end` is the last one, of a store where none was given since: all.
    if redis.call('HEXISTS', projects, ARGV[i + 2]) == 0 then
      local last = redis.call('HGET', KEYS[1], 'projects_end') or redis.call('HLEN', projects)
      redis.call('HSET', KEYS[1], 'projects_end', last + 1)
      redis.call('HSET', projects, ARGV[i + 2], last + 1)
    end
  end
end
