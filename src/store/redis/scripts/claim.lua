-- Marks the history of a project as the store's. KEYS[1] its mark, KEYS[2..] what is there where it has any history;
-- ARGV[1] fence of the writer, ARGV[2] id of the store, ARGV[3] the project, ARGV[4] `emptied` when `empty` was done
-- before, `earlier` when what an earlier version wrote is the store's, too.
-- Returns 1, or 0 when it is another's.
local mark, ours = redis.call('GET', KEYS[1]) or '', ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]
local fence, id, project = string.match(mark, '^(%d+) (%S+) ?(.*)$')
if id == ARGV[2] and tonumber(fence) > tonumber(ARGV[1]) then
  return redis.error_reply('HWFENCED another highwater writes it now')
end
local is_ours = id == ARGV[2] and project == ARGV[3]
if ARGV[4] == 'emptied' then is_ours = mark == ARGV[1] .. ' ' .. ARGV[2] end
if ARGV[4] == 'earlier' and string.match(mark, '^%d*$') then is_ours = true end
if not is_ours then
  if mark ~= '' then return 0 end
  for i = 2, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 1 then return 0 end
  end
end
redis.call('SET', KEYS[1], ours)
return 1
