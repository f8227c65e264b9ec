-- Redis runs the scripts in Lua 5.1 with these tables. Any other global is a mistake.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV", "cjson" }
max_line_length = 120
-- A foundation (partition, row, plan) brings more than one script uses.
ignore = { "211", "231" }
