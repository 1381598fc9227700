"""Model servers as they really are: each answers what is asked here, in a way, or with a demand, of its own."""

from __future__ import annotations

import json

from flowrunner.testing.model_script import Raw, Write

ANSWER = {"text": "All is well.", "json": '{"objects": [{"count": 3}]}', "category": "Complaint"}
DECOY = {
    "text": "They ask how it is.",
    "json": 'An example: {"objects": [{"count": 1}]}',
    "category": "Praise? Or Complaint? Or Praise.",
}
USAGE = {"prompt_tokens": 7, "completion_tokens": 8}


def kind_of(body):
    """Return what is asked for: a text, JSON or a category."""
    system = str(body["messages"][0]["content"])
    return "json" if "JSON schema" in system else "category" if "which category" in system else "text"


def wants_call(body):
    return bool(body.get("tools")) and not any(m["role"] == "tool" for m in body["messages"])


def text_for(body, write=lambda answer, decoy: answer):
    kind = kind_of(body)
    return write(ANSWER[kind], DECOY[kind])


def written(text, **more):
    """Return an answer that streams its text in pieces of three characters."""
    pieces = tuple({"content": text[at : at + 3]} for at in range(0, len(text), 3))
    return Write({"content": text}, pieces, **{"usage": USAGE, **more})


def called(*calls, deltas=None, **message):
    """Return an answer that calls tools."""
    whole = {"content": None, "tool_calls": list(calls), **message}
    streamed = tuple(deltas or ({"tool_calls": [{**c, "index": n}]} for n, c in enumerate(calls)))
    head = (dict(message),) if message else ()
    return Write(whole, (*head, *streamed), reason="tool_calls", usage=USAGE)


def a_call(name="get_current_date", arguments="{}", key="call_1", **more):
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def plain(body):
    return called(a_call()) if wants_call(body) else written(text_for(body))


def says(write):
    """A server whose model writes its texts so: ``write(answer, decoy)``."""
    return lambda body: called(a_call()) if wants_call(body) else written(text_for(body, write))


def thinks(begin, end):
    return says(lambda answer, decoy: f"{begin}\nLet me see. {decoy}\n{end}\n\n{answer}")


def refuses(name, said, *, status=400, of=lambda body: True):
    """A server that takes no such member, in the words ``said``."""

    def answer(body):
        return Raw(said, status) if name in body and of(body) else plain(body)

    return answer


def _error(message, **more):
    return json.dumps({"error": {"message": message, **more}})


def alternating(said, status=400):
    """A server that wants questions and answers by turns, behind one system text."""

    def answer(body):
        roles = [m["role"] for m in body["messages"]]
        rest = roles[1:] if roles[0] == "system" else roles
        spoken = [role for role in rest if role != "tool"]
        wrong = (
            "system" in rest
            or spoken[0] != "user"
            or any(a == b for a, b in zip(rest, rest[1:], strict=False) if a != "tool")
        )
        return Raw(said, status) if wrong else plain(body)

    return answer


def no_system(said):
    def answer(body):
        if any(m["role"] in ("system", "developer") for m in body["messages"]):
            return Raw(said, 400)
        user = body["messages"][0]["content"]
        return plain({**body, "messages": [{"role": "user", "content": user}, *body["messages"][1:]]})

    return answer


def wants_developer(body):
    if any(m["role"] == "system" for m in body["messages"]):
        said = "Unsupported value: 'messages[0].role' does not support 'system'. Use 'developer' instead."
        return Raw(_error(said, param="messages[0].role"), 400)
    return plain(body)


def signed(message_members, call_members, *, streamed=None):
    """A server that wants back what it gave with a call."""

    def answer(body):
        if wants_call(body):
            deltas = streamed or ()
            call = a_call(**call_members)
            return called(
                call, deltas=(*deltas, {"tool_calls": [{**call, "index": 0}]}) if deltas else None, **message_members
            )
        asked = next((m for m in body["messages"] if m.get("tool_calls")), None)
        if asked is not None:
            given = {**asked, **asked["tool_calls"][0]}
            for name, value in {**message_members, **call_members}.items():
                if given.get(name) != value:
                    return Raw(_error(f"the {name} of the call is missing or was changed"), 400)
        return plain(body)

    return answer


def strict_history(arguments):
    """A server whose model writes arguments that are none, and which reads history."""

    def answer(body):
        calls = [c for m in body["messages"] for c in m.get("tool_calls") or ()]
        for call in calls:
            try:
                if not isinstance(json.loads(call["function"]["arguments"]), dict):
                    raise ValueError
            except ValueError:
                return Raw(_error("the arguments of a call in history are no JSON object"), 400)
        return called(a_call(arguments=arguments)) if wants_call(body) else plain(body)

    return answer


def stream_of(chunks, end="\n", *, mark="", done=True, several=False):
    """Return chunks as the bytes of a stream, with these ends of lines."""
    lines = [": keep-alive", ""]
    for chunk in chunks:
        text = json.dumps(chunk)
        parts = text.split(", ", 1) if several and ", " in text else [text]
        lines += [f"data: {part}{',' if n + 1 < len(parts) else ''}" for n, part in enumerate(parts)] + [
            "",
            "data:",
            "",
        ]
    lines += ["data: [DONE]", "", ""] if done else []
    return (mark + end.join(lines)).encode()


def chunks_of(step):
    """Return the chunks in which a message is streamed."""
    made = [{"choices": [{"index": 0, "delta": d}]} for d in step.deltas or (step.message,)]
    return [
        *made,
        {"choices": [{"index": 0, "delta": {}, "finish_reason": step.reason}]},
        {"choices": [], "usage": USAGE},
    ]


def whole_of(step):
    choice = {"index": 0, "message": {"role": "assistant", **step.message}, "finish_reason": step.reason}
    return {"choices": [choice], "usage": USAGE}


def sends(write):
    """A server that writes its streams so: ``write(chunks) -> bytes``; whole answers as everybody."""

    def answer(body):
        step = plain(body)
        return Raw(write(chunks_of(step)), kind="text/event-stream; charset=utf-8") if body.get("stream") else step

    return answer


def never_streams(body):
    return Raw(json.dumps(whole_of(plain(body)))) if body.get("stream") else plain(body)


def always_streams(body):
    return Raw(stream_of(chunks_of(plain(body))), kind="text/event-stream")


ERR_STREAM_OPTIONS = json.dumps(
    {
        "detail": [
            {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}
        ]
    }
)

#: Servers that everything here comes to an answer with.
SERVERS = {
    "plain": plain,
    "think": thinks("<think>", "</think>"),
    "thinking": thinks("<thinking>", "</thinking>"),
    "Thought in capitals": thinks("<THINK>", "</THINK>"),
    "begin_of_thought": thinks("<|begin_of_thought|>", "<|end_of_thought|>"),
    "[THINK]": thinks("[THINK]", "[/THINK]"),
    "an end without a beginning": says(lambda answer, decoy: f"Let me see. {decoy}\n</think>\n\n{answer}"),
    "twice": says(lambda answer, decoy: f"<think>{decoy}</think>\n<think>{decoy}</think>{answer}"),
    "parts": lambda body: (
        called(a_call())
        if wants_call(body)
        else Write(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": DECOY[kind_of(body)]}]},
                    {"type": "text", "text": text_for(body)},
                ]
            }
        )
    ),
    "reasoning_content": lambda body: (
        called(a_call())
        if wants_call(body)
        else Write(
            {"reasoning_content": DECOY[kind_of(body)], "content": text_for(body)},
            ({"reasoning_content": "Hm. "}, {"reasoning_content": DECOY[kind_of(body)]}, {"content": text_for(body)}),
        )
    ),
    "stream_options by place": refuses("stream_options", ERR_STREAM_OPTIONS, status=422),
    "stream_options by name": refuses("stream_options", _error("Unknown parameter: 'stream_options'.")),
    "stream_options without a word": refuses("stream_options", ""),
    "temperature": refuses(
        "temperature",
        _error(
            "Unsupported value: 'temperature' does not support 0.5. Only the default (1) value is supported.",
            param="temperature",
        ),
    ),
    "max_tokens": refuses(
        "max_tokens",
        _error(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
        ),
    ),
    "top_p": refuses("top_p", '{"error": "`top_p` is deprecated for this model"}'),
    "seed": refuses("seed", '{"detail": "Unknown field: \'seed\'"}', status=422),
    "stop": refuses("stop", '{"message": "property \'stop\' is unsupported"}'),
    "parallel_tool_calls": refuses(
        "parallel_tool_calls",
        '[{"error": {"code": 400, "message": "Invalid JSON payload '
        'received. Unknown name \\"parallel_tool_calls\\": Cannot find field."}}]',
    ),
    "response_format": refuses("response_format", _error("response_format is not supported by this model")),
    "roles alternate": alternating(
        _error("After the optional system message(s), user and assistant roles should be alternating.")
    ),
    "roles alternate, by a template": alternating('{"error": "Conversation roles must alternate"}', 500),
    "no system": no_system(_error("System role not supported")),
    "developer": wants_developer,
    "a thought's signature": signed({}, {"extra_content": {"google": {"thought_signature": "s1gn"}}}),
    "reasoning wanted back": signed({"reasoning_content": "I look."}, {}),
    "reasoning_details": signed(
        {"reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": "x", "index": 0}]}, {}
    ),
    "arguments cut off": strict_history('{"a": '),
    "arguments of a list": strict_history("[1]"),
    "CR": sends(lambda chunks: stream_of(chunks, "\r")),
    "CRLF and a mark": sends(lambda chunks: stream_of(chunks, "\r\n", mark="\ufeff")),
    "several data lines": sends(lambda chunks: stream_of(chunks, several=True)),
    "no [DONE]": sends(lambda chunks: stream_of(chunks, done=False)),
    "a whole answer to a stream": never_streams,
    "a stream to a whole answer": always_streams,
    "no finish reason, no usage": lambda body: Write(
        {"tool_calls": [a_call()]} if wants_call(body) else {"content": text_for(body)}, reason=""
    ),
}

SENTENCE = "the model is on holiday"
#: Ways to say that something failed.
FAILURES = {
    "OpenAI's": Raw(_error(SENTENCE), 400),
    "a list": Raw(json.dumps([{"error": {"code": 400, "message": SENTENCE, "status": "INVALID"}}]), 400),
    "a text": Raw(json.dumps({"error": SENTENCE}), 400),
    "detail": Raw(json.dumps({"detail": SENTENCE}), 404),
    "details": Raw(json.dumps({"detail": [{"loc": ["body", "model"], "msg": SENTENCE, "type": "value_error"}]}), 422),
    "message": Raw(json.dumps({"message": SENTENCE}), 400),
    "error_msg": Raw(json.dumps({"error_code": 336003, "error_msg": SENTENCE}), 400),
    "deep": Raw(json.dumps([[{"errors": [{"reason": {"message": SENTENCE}}]}]]), 400),
    "raw of another": Raw(_error("Provider returned error", metadata={"raw": json.dumps({"error": SENTENCE})}), 400),
    "JSON in a text": Raw(json.dumps({"error": json.dumps({"message": SENTENCE})}), 400),
    "a page": Raw(f"<html><head><title>{SENTENCE}</title></head><body><h1>x</h1></body></html>", 404, "text/html"),
    "plain text": Raw(SENTENCE, 400, "text/plain"),
    "a success with an error": Raw(_error(SENTENCE)),
    "a success with a code": Raw(_error(SENTENCE, code=400)),
    "a success with a message": Raw(json.dumps({"code": 1113, "message": SENTENCE})),
    "a choice that failed": Raw(json.dumps({"choices": [{"error": {"message": SENTENCE}, "finish_reason": "error"}]})),
    "an error event": Raw(f"event: error\ndata: {_error(SENTENCE)}\n\n", kind="text/event-stream"),
    "a text as error event": Raw(f"event: error\ndata: {SENTENCE}\n\n", kind="text/event-stream"),
    "an error chunk": Raw(f"data: {_error(SENTENCE)}\n\ndata: [DONE]\n\n", kind="text/event-stream"),
}
