-- Removes what another store left under the number of a project. KEYS[1] its mark, which says meanwhile who empties it;
-- KEYS[2..] what goes; ARGV[1] fence of the writer, ARGV[2] id of the store.
local fence, id = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%S+)')
if id == ARGV[2] and tonumber(fence) > tonumber(ARGV[1]) then
  return redis.error_reply('HWFENCED another highwater writes it now')
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
if #KEYS > 1 then redis.call('UNLINK', unpack(KEYS, 2)) end
return 1
