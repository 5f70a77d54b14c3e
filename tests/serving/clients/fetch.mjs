// Node's fetch.
import { readFileSync } from "node:fs";

const [url, ...files] = process.argv.slice(2);
for (const file of files) {
  const answer = await fetch(url, { method: "POST", body: readFileSync(file) });
  console.log(answer.status, await answer.text());
}
