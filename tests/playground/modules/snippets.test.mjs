import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";

const { snippetsOf } = await import(`${process.env.MODULES}/snippets.js`);
const { partsOf } = await import(`${process.env.MODULES}/highlight.js`);

const HOSTILE = `it's "quoted" $HOME \`id\` \\ \n {x} ","b":" 😀 </script>`;
const asked = { base: "http://127.0.0.1:1/api/v1/", flow: "echo me", input: HOSTILE, session: "a/b 'c'", key: false };

test("what a shell makes of the command is what was meant", () => {
  const command = snippetsOf(asked).curl.replace(/^curl/, "printf '%s\\0'");
  const words = execFileSync("sh", ["-c", command]).toString().split("\0");
  assert.equal(words[0], "http://127.0.0.1:1/api/v1/run/echo%20me");
  const sent = JSON.parse(words[words.indexOf("-d") + 1]);
  assert.deepEqual(sent, { input_value: HOSTILE, session_id: "a/b 'c'" });
});

test("JavaScript sends what was meant", async () => {
  const code = snippetsOf(asked).JavaScript;
  const calls = [];
  const fetch = async (...all) => (calls.push(all), { ok: true, text: async () => "" });
  const run = new (Object.getPrototypeOf(async () => {}).constructor)("fetch", "console", code);
  await run(fetch, { log: () => {} });
  assert.deepEqual(JSON.parse(calls[0][1].body), { input_value: HOSTILE, session_id: "a/b 'c'" });
});

test("Python sends what was meant", () => {
  const stub = `import sys, types, json
class Answer:
    text = output_text = ""
    def raise_for_status(self): pass
def post(url, json=None, **more): print(__import__("json").dumps([url, json])); return Answer()
sys.modules["requests"] = types.SimpleNamespace(post=post)
class OpenAI:
    def __init__(self, **more): self.responses = self
    def create(self, **more): print(json.dumps(more)); return Answer()
sys.modules["openai"] = types.SimpleNamespace(OpenAI=OpenAI)
`;
  const ran = (code) => JSON.parse(execFileSync("python3", ["-c", `${stub}${code}`]).toString().split("\n")[0]);
  const all = snippetsOf(asked);
  assert.deepEqual(ran(all.Python)[1], { input_value: HOSTILE, session_id: "a/b 'c'" });
  assert.deepEqual(ran(all.OpenAI), { model: "echo me", input: HOSTILE });
});

test("a key is named, and never written out", () => {
  for (const code of Object.values(snippetsOf({ ...asked, key: true }))) assert.match(code, /FLOWRUNNER_API_KEY/);
  for (const code of Object.values(snippetsOf(asked))) assert.doesNotMatch(code, /API_KEY/);
});

test("the parts of code are the code", () => {
  const code = "def f(x): # no\n  return 'a' + \"b\" * 2 /* x */ `y` <a b='c'> --z\n";
  for (const language of ["python", "js", "c++", "sh", "sql", "yaml", "json", "css", "html", "diff", "unknown", ""]) {
    assert.equal(partsOf(code, language).map(([, part]) => part).join(""), code, language);
  }
  assert.deepEqual(partsOf("return 1", "py"), [["word", "return"], ["", " "], ["number", "1"]]);
  assert.deepEqual(partsOf("SELECT a", "sql")[0], ["word", "SELECT"]);
});

test("code made to take long does not", () => {
  for (const piece of ["-", "a", "\"", "'", "/*", "<!--", "\\", "a:", " ", "0x", "$", "#", "[", "\"\"\""]) {
    const code = piece.repeat(Math.floor(20000 / piece.length));
    for (const language of ["python", "js", "sh", "sql", "yaml", "json", "css", "html", "diff"]) {
      assert.equal(partsOf(code, language).map(([, part]) => part).join(""), code);
    }
  }
});
