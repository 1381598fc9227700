// Colours for code: comments, texts, numbers and words of the language. No DOM here: it is tested without a browser.

const LONGEST = 20000;

const WORDS = {
  c: "abstract as async await auto bool boolean break case catch char class const continue def default defer delete do double else enum export extends extern false final finally float fn for func function go goto if impl implements import in instanceof int interface internal let long loop match mod mut namespace new nil null nullptr of operator override package private protected pub public readonly ref return self short signed sizeof static std string struct super switch template this throw throws trait true try type typedef typeof undefined union unsafe unsigned use using var virtual void volatile where while yield",
  python: "and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return self True try while with yield",
  shell: "case cd do done echo elif else esac exit export fi for function if in local read return set sudo then until unset while",
  sql: "add all alter and as asc begin between by case check column commit constraint create cross default delete desc distinct drop else end exists foreign from full group having in index inner insert into is join key left like limit not null offset on or order outer primary references returning right rollback select set table then union unique update using values view when where with",
  data: "true false null yes no on off none True False None",
};

const STRING = `"(?:[^"\\\\\\n]|\\\\.)*"?|'(?:[^'\\\\\\n]|\\\\.)*'?`;
const NUMBER = "\\b(?:0[xX][\\da-fA-F_]+|\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)\\b";
const NAME = "[A-Za-z_$][\\w$]*";
const BLOCK = "/\\*(?:[^*]|\\*(?!/))*(?:\\*/)?";

// Of each kind of language: comments, texts, and its words; what it has besides.
const KINDS = {
  c: { comment: `//[^\\n]*|${BLOCK}`, string: `${STRING}|\`(?:[^\`\\\\]|\\\\[^])*\`?` },
  python: { comment: "#[^\\n]*", string: `"""(?:[^"\\\\]|\\\\[^]|"(?!""))*(?:""")?|'''(?:[^'\\\\]|\\\\[^]|'(?!''))*(?:''')?|${STRING}` },
  shell: { comment: "(?<![^\\s;])#[^\\n]*", string: `"(?:[^"\\\\]|\\\\[^])*"?|'[^']*'?`, meta: "\\$\\{?\\w+\\}?" },
  sql: { comment: `--[^\\n]*|${BLOCK}`, string: "'[^']*'?|\"[^\"]*\"?", fold: true },
  data: { comment: "(?<![^\\s])#[^\\n]*", string: STRING, meta: "^[ \\t]*(?:- )*[\\w.-]+(?=[ \\t]*[:=])|^\\[[^\\]\\n]*\\]" },
  json: { comment: "//[^\\n]*", string: STRING, meta: "\"(?:[^\"\\\\\\n]|\\\\.)*\"(?=\\s*:)", words: "data" },
  css: { comment: BLOCK, string: STRING, meta: "(?<![\\w-])[\\w-]+(?=\\s*:)|[#.@][\\w-]+", words: "none" },
  html: { comment: "<!--(?:[^-]|-(?!->))*(?:-->)?", string: "\"[^\"]*\"?|'[^']*'?", meta: "</?[\\w:-]+|/?>", words: "none" },
  diff: { string: "^\\+[^\\n]*", comment: "^-[^\\n]*", meta: "^@@[^\\n]*", words: "none" },
};

const NAMES = {
  python: "py python3 pycon", shell: "sh bash zsh console shellsession dockerfile docker makefile make", sql: "postgresql sqlite mysql",
  data: "yaml yml toml ini properties env conf cfg nginx", json: "json5 jsonc jsonl", css: "scss less", html: "xml svg vue jinja jinja2",
  diff: "patch", c: "js javascript mjs ts typescript jsx tsx java kotlin kt swift go golang rust rs cpp c++ h hpp cs csharp php scala dart zig",
};
const KIND_OF = new Map(Object.entries(NAMES).flatMap(([kind, names]) => [kind, ...names.split(" ")].map((name) => [name, kind])));

const made = new Map();

function scannerOf(kind) {
  if (!made.has(kind)) {
    const { comment, string, meta, words = kind, fold = false } = KINDS[kind];
    const parts = [["comment", comment], ["meta", meta], ["string", string], ["number", NUMBER], ["name", NAME]];
    const source = parts.filter(([, part]) => part).map(([name, part]) => `(?<${name}>${part})`).join("|");
    made.set(kind, { pattern: new RegExp(source, "gm"), words: new Set((WORDS[words] ?? "").split(" ")), fold });
  }
  return made.get(kind);
}

// Gives the parts of a text in their order, each as [kind, text]; the kind is "" for what has no colour.
export function partsOf(text, language = "") {
  const kind = KIND_OF.get(language.toLowerCase());
  if (!kind || text.length > LONGEST) return [["", text]];
  const { pattern, words, fold } = scannerOf(kind);
  const found = [];
  let last = 0;
  const plain = (until) => until > last && found.push(["", text.slice(last, until)]);
  for (const hit of text.matchAll(pattern)) {
    const [whole] = hit;
    let [name] = Object.entries(hit.groups).find(([, value]) => value !== undefined);
    if (name === "name") name = words.has(fold ? whole.toLowerCase() : whole) ? "word" : "";
    if (!name || !whole) continue;
    plain(hit.index);
    found.push([name, whole]);
    last = hit.index + whole.length;
  }
  plain(text.length);
  return found;
}
