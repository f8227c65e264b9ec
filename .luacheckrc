-- Redis runs the scripts in Lua 5.1 with these tables; what else a script names is a mistake.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV", "cjson" }
max_line_length = 120
-- A fragment may bring more than this script uses.
ignore = { "211" }
