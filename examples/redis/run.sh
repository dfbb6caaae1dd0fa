#!/usr/bin/env bash
# A Redis server on the inside, reached over SOCKS5 and a TCP mapping. Needs redis-server.
source "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

socks='socks: {listen: "127.0.0.1:20004"}' start_cloud
redis-server --port 3379 --bind 127.0.0.1 --save "" --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
processes+=($!)
wait_for "Ready to accept connections" "$work/redis.log"
start_connector connector "" '  - {virtual-host: "redis:6379", internal-host: "127.0.0.1:3379", protocol: TCP}
  - {virtual-host: "gone:6379", internal-host: "127.0.0.1:1", protocol: TCP}'
token=$(cloud token)

say "Commands and their answers, three megabytes among them"
expect "Hello World True" python3 "$here/client.py" 20004 "$token" redis 6379

say "What is not exposed, and what is down"
expect "SOCKS5 reply 2" python3 "$here/client.py" 20004 "$token" other 6379
expect "SOCKS5 reply 4" python3 "$here/client.py" 20004 "$token" gone 6379
expect "the token does not count" python3 "$here/client.py" 20004 "nonsense" redis 6379
