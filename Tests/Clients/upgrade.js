// WebSocket from Node's own HTTP client, in the form in which requests go to a proxy, without CONNECT.
//
//     upgrade.js PROXY-PORT VIRTUAL-HOST
const http = require("node:http");
const crypto = require("node:crypto");

const [proxy, host] = [Number(process.argv[2]), process.argv[3]];
const key = crypto.randomBytes(16).toString("base64");
const fail = (words) => { console.log("FAILED", words); process.exit(1); };

const request = http.request({
  port: proxy,
  path: `http://${host}/ws`,
  headers: { Host: host, Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key },
});
request.on("response", (response) => fail(`Node: ${response.statusCode}`));
request.on("error", (error) => fail(error.message));
request.on("upgrade", (response, socket, head) => {
  const accept = crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  if (response.headers["sec-websocket-accept"] !== accept) fail("Node: the accept is wrong");
  let bytes = head;
  const look = () => {
    const text = bytes.toString();
    if (text.includes("the server speaks first") && text.includes("from Node")) {
      console.log("ok Node: both ways, in the form of a request to a proxy");
      process.exit(0);
    }
  };
  socket.on("data", (piece) => { bytes = Buffer.concat([bytes, piece]); look(); });
  socket.on("close", () => fail("Node: closed too early"));
  socket.write(Buffer.concat([Buffer.from([0x81, 0x89, 0, 0, 0, 0]), Buffer.from("from Node")]));
});
request.end();
