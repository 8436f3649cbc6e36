-- Configuration of luacheck for the Redis scripts; `make check` runs it. Redis executes Lua 5.1.
std = "lua51"
read_globals = { "redis", "cmsgpack", "cjson", "ARGV" }
max_line_length = 140
