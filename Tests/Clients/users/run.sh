#!/usr/bin/env bash
# Users of two identity providers arrive at nginx, a Java application and Tomcat, each of which knows them in its own way; PYTHON as
# dev/test-clients.sh has it.
source "$(dirname "${BASH_SOURCE[0]}")/../../../examples/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
subaccount=3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10

"$connectord" certificate ca --subject "CN=Plant Users,O=Company" --directory "$work" >/dev/null
"$connectord" certificate system --subject "CN=Plant Connector,O=Company" --directory "$work" >/dev/null
"$PYTHON" "$here/users.py" files "$work" $subaccount

cat >"$work/nginx.conf" <<CONF
pid $work/nginx.pid;
error_log $work/nginx.log;
events {}
http {
  access_log off;
  underscores_in_headers on;
  server {
    listen 127.0.0.1:20401 ssl;
    ssl_certificate $work/server.pem;
    ssl_certificate_key $work/server.key;
    ssl_client_certificate $work/system.pem;
    ssl_verify_client on;
    location / {
      if (\$http_ssl_client_cert = "") { return 401; }
      return 200 \$http_ssl_client_cert;
    }
  }
}
CONF
nginx -c "$work/nginx.conf" -g "daemon off;" &
processes+=($!)
java "$here/JavaHost.java" 20402 "$work/server.p12" "$work/system.pem" "$work/user-ca.pem" >"$work/java.log" 2>&1 &
processes+=($!)
java -cp "$(printf '%s:' /usr/share/java/tomcat10-embed-*.jar)" "$here/TomcatHost.java" 20403 "$work/server.p12" "$work/system.p12" "$work/user-ca.pem" \
    >"$work/tomcat.log" 2>&1 &
processes+=($!)
wait_for ready "$work/java.log"
wait_for ready "$work/tomcat.log"

start_cloud
# What follows the systems in the file.
administration="listen: \"off\"}
backend-trust: {certificates: [$work/server.pem]}
system-certificate: {certificate: $work/system.pem, private-key: $work/system.key}
principal-propagation:
  ca: {certificate: $work/user-ca.pem, private-key: $work/user-ca.key}
  trust:
    - {issuer: https://corporate.test/oauth/token, keys: $work/corporate.json}
    - {issuer: https://partner.test, keys: $work/partner.json}
    - {issuer: http://localhost:20080/oauth/token, keys: http://localhost:20080/token_keys}
  subject-patterns:
    - {if: \"\${user_type} is Technical\", subject: \"CN=\${client_id},OU=Applications\"}
    - {if: \"\${department} exists\", subject: \"CN=\${name},OU=\${department},O=Plant\"}
    - {subject: \"CN=\${name},O=Plant\"}
check: {interval: 30s" start_connector connector "" "  - {virtual-host: \"nginx.test:80\", internal-host: \"localhost:20401\", protocol: HTTPS, authentication-mode: X509_RESTRICTED, resources: [{path: /x, access: path-only}]}
  - {virtual-host: \"java.test:80\", internal-host: \"localhost:20402\", protocol: HTTPS, authentication-mode: X509_RESTRICTED, resources: [{path: /x, access: path-only}]}
  - {virtual-host: \"tomcat.test:80\", internal-host: \"localhost:20403\", protocol: HTTPS, authentication-mode: X509_RESTRICTED, user-certificate-form: pem, resources: [{path: /x, access: path-only}]}"
cloud env --directory "$work/bindings" >/dev/null
CONNECTIVITY_TOKEN=$(cloud token) USER_TOKEN=$(cloud token --service xsuaa --user alice@example.com) OAUTHLIB_INSECURE_TRANSPORT=1 \
    "$PYTHON" "$here/users.py" ask "$work" $subaccount 20003
