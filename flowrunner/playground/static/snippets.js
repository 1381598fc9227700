// The call of a flow, written for programs. No DOM here: these are tested without a browser.

const text = (value) => JSON.stringify(value);
// Between single quotes a shell reads nothing but the next single quote.
const quoted = (value) => `'${value.replaceAll("'", `'\\''`)}'`;

export function snippetsOf({ base, flow, input, session, key }) {
  const run = `${base}run/${encodeURIComponent(flow)}`;
  // A text in JSON is one in Python and in JavaScript, too.
  const asked = { input_value: input, session_id: session };
  const env = "FLOWRUNNER_API_KEY";
  return {
    curl: [
      `curl ${quoted(run)}`,
      ...(key ? [`  -H "x-api-key: $${env}"`] : []),
      "  -H 'Content-Type: application/json'",
      "  -H 'Accept: text/plain'",
      `  -d ${quoted(JSON.stringify(asked))}`,
    ].join(" \\\n"),
    Python: [
      ...(key ? ["import os", ""] : []),
      "import requests",
      "",
      "answer = requests.post(",
      `    ${text(run)},`,
      `    json={"input_value": ${text(input)}, "session_id": ${text(session)}},`,
      ...(key ? [`    headers={"x-api-key": os.environ["${env}"], "Accept": "text/plain"},`] : ['    headers={"Accept": "text/plain"},']),
      "    timeout=300,",
      ")",
      "answer.raise_for_status()",
      "print(answer.text)",
    ].join("\n"),
    JavaScript: [
      `const answer = await fetch(${text(run)}, {`,
      '  method: "POST",',
      `  headers: { "Content-Type": "application/json", Accept: "text/plain"${key ? `, "x-api-key": process.env.${env}` : ""} },`,
      `  body: JSON.stringify(${JSON.stringify(asked, null, 2).replaceAll("\n", "\n  ")}),`,
      "});",
      "if (!answer.ok) throw new Error(await answer.text());",
      "console.log(await answer.text());",
    ].join("\n"),
    OpenAI: [
      ...(key ? ["import os", ""] : []),
      "from openai import OpenAI",
      "",
      `client = OpenAI(base_url=${text(base.replace(/\/$/, ""))}, api_key=${key ? `os.environ["${env}"]` : '"none"'})`,
      `answer = client.responses.create(model=${text(flow)}, input=${text(input)})`,
      "print(answer.output_text)",
      "# The conversation goes on with previous_response_id=answer.id.",
    ].join("\n"),
  };
}
