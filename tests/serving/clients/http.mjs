// Node's http module, with a connection that is kept and a body in chunks.
import { createReadStream } from "node:fs";
import { Agent, request } from "node:http";

const [url, ...files] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
for (const file of files) {
  await new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve(console.log(answer.statusCode, Buffer.concat(parts).toString())));
    });
    sent.on("error", reject);
    createReadStream(file).pipe(sent);
  });
}
agent.destroy();
