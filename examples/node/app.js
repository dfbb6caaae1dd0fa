// Plain Node, no packages: finds a destination and calls the system behind it through the connectivity proxy.
const http = require("node:http");

const services = JSON.parse(process.env.VCAP_SERVICES);
const destinationService = services.destination[0].credentials;
const connectivity = services.connectivity[0].credentials;

function send(options, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(options, (response) => {
      let text = "";
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function token(credentials) {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: credentials.clientid,
    client_secret: credentials.clientsecret,
  }).toString();
  const url = new URL("/oauth/token", credentials.url);
  const headers = { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": body.length };
  const answer = await send({ method: "POST", hostname: url.hostname, port: url.port, path: url.pathname, headers }, body);
  return JSON.parse(answer.text).access_token;
}

async function main(name) {
  const uri = new URL(`/destination-configuration/v1/destinations/${name}`, destinationService.uri);
  const found = await send({
    hostname: uri.hostname,
    port: uri.port,
    path: uri.pathname,
    headers: { Authorization: `Bearer ${await token(destinationService)}` },
  });
  if (found.status !== 200) throw new Error(`destination ${name}: ${found.status} ${found.text}`);
  const destination = JSON.parse(found.text).destinationConfiguration;

  const target = new URL(destination.URL);
  const headers = { Host: target.host, "Proxy-Authorization": `Bearer ${await token(connectivity)}` };
  if (destination.CloudConnectorLocationId) {
    headers["SAP-Connectivity-SCC-Location_ID"] = destination.CloudConnectorLocationId;
  }
  const answer = await send({
    hostname: connectivity.onpremise_proxy_host,
    port: connectivity.onpremise_proxy_http_port,
    path: target.href,
    headers,
  });
  console.log(answer.status, answer.text);
}

main(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
