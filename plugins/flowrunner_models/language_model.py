"""Language Model: one question to a model, under the many names that flows use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Final

from flowrunner import Input, Message, Output, RunContext, make_content_block, make_properties, text_of

from .factory import ModelUser
from .fields import HISTORY_INPUTS, MODEL_INPUTS
from .json_search import find_json
from .pictures import files_of, with_pictures
from .protocol import Aside, ChatModel, Reply, Turn
from .turns import is_history, newest, turns_of
from .usage import with_cost

#: Finish reasons of an answer that lacks nothing.
_WHOLE: Final = frozenset({"", "stop", "eos", "end_turn", "stop_sequence", "tool_calls", "function_call"})


class LanguageModel(ModelUser):
    """Send a question to a model and return the answer, or provide the model to other components."""

    type_name = "LanguageModelComponent"
    display_name = "Language Model"
    inputs = (
        Input(
            "input_value",
            accepts=("Data", "Table"),
            tool=True,
            aliases=("prompt",),
            info="the question; rows of a history become turns",
        ),
        Input("system_message", info="instructions for the model", aliases=("system_prompt",)),
        Input("stream", "bool", default=False, info="ignored: the request decides whether a run streams"),
        *MODEL_INPUTS,
        *HISTORY_INPUTS,
    )
    outputs = (
        Output("text_output", aliases=("text_response", "text", "response", "message")),
        Output("model_output", "LanguageModel", aliases=("build_model", "model", "llm", "language_model")),
        Output("data_output", "Data"),
        Output("dataframe_output", "Table"),
    )

    def run(self, context: RunContext, /, **values: Any) -> Generator[Any, None, Mapping[str, Any]]:
        """Return the answer and the model; ask only where somebody wants the answer.

        :raises ValueError: if there is nothing to ask.
        :raises ModelFailed: if no whole answer came.
        """
        model = self.model_of(context, values)
        if context.wanted == {"model_output"}:
            return {"model_output": model}
        turns = turns_for(values)
        reply = yield from speak(context, model, turns)
        message = message_of(context, model, reply)
        return {"text_output": message, "model_output": model, **_as_json(context, reply.text)}


def turns_for(values: Mapping[str, Any]) -> list[Turn]:
    """Return the conversation that settings describe: the system message, the history, the question.

    :raises ValueError: if there is neither a question nor a history.
    """
    asked = values.get("input_value")
    system = text_of(values.get("system_message") or values.get("system_prompt"))
    history = turns_of(values.get("history"))
    if is_history(asked):
        history, asked = [*history, *turns_of(asked)], ""
    question, files = text_of(asked), files_of(asked)
    if not question.strip() and not history and not system.strip() and not files:
        raise ValueError("the message to the model is empty")
    count = values.get("n_messages")
    history = newest(history, count=100 if count is None else count, tokens=values.get("history_tokens") or 0)
    turns = [Turn("system", system)] if system.strip() else []
    turns += history
    if question.strip() or files or not history:
        turns.append(Turn("user", question, files=files))
    return [turn for turn in turns if turn.text or turn.role == "user"]


def speak(
    context: RunContext, model: ChatModel, turns: list[Turn], *, shown: Callable[[], Message] | None = None, **more: Any
) -> Generator[str | Message, None, Reply]:
    """Ask a model, with the pictures of the turns, passing its words on as they come; return its reply.

    :param shown: returns what is shown in place of words that were thoughts; by default those, as a step.
    """
    reply, started, first = Reply(), time.monotonic(), None
    seen = with_pictures(context, turns)
    for part in model.stream(seen, live=context.streaming, cancelled=context.cancelled, **more):
        if isinstance(part, Reply):
            reply = part
        elif isinstance(part, Aside):
            yield (
                shown()
                if shown is not None
                else Message(content_blocks=thought_blocks(part.text), properties=make_properties(state="partial"))
            )
        else:
            first = time.monotonic() - started if first is None else first
            yield part
    return replace(reply, first_token=first, seconds=time.monotonic() - started)


def thought_blocks(thoughts: str) -> tuple[dict[str, Any], ...]:
    """Return thoughts as a content block, which clients fold."""
    if not thoughts.strip():
        return ()
    header = {"title": "Thought", "icon": "Brain"}
    return (make_content_block("Thoughts", [{"type": "text", "duration": None, "header": header, "text": thoughts}]),)


def message_of(context: RunContext, model: ChatModel, reply: Reply, **fields: Any) -> Message:
    """Return what a model said as a message, with its name, and what it took in tokens, time and money."""
    source = {"id": context.vertex_id, "display_name": context.display_name, "source": model.name}
    usage = with_cost(reply.usage, getattr(context.settings, "model_prices", None) or {}, model.name)
    marks: dict[str, Any] = {}
    if reply.refused:
        marks["refusal"] = True
    if reply.reason.lower() not in _WHOLE:
        marks["finish_reason"] = reply.reason
    if reply.seconds is not None:
        first = reply.seconds if reply.first_token is None else reply.first_token
        marks["timing"] = {"time_to_first_token": round(first, 3), "seconds": round(reply.seconds, 3)}
    made = Message(
        text=reply.text,
        properties=make_properties(
            source=source,
            usage=usage.to_json() if usage is not None else None,
            icon=model.provider if context.streaming else None,
            **marks,
        ),
        **{"content_blocks": thought_blocks(reply.thoughts), **fields},
    )
    return context.stamp(made)


def _as_json(context: RunContext, text: str) -> dict[str, Any]:
    """Return the JSON outputs, where an edge leads from one."""
    if not context.wanted & {"data_output", "dataframe_output"}:
        return {}
    found = find_json(text, context.cancelled.raise_if_set)
    if found is None:
        raise ValueError("the model's answer contains no JSON")
    rows = found if isinstance(found, list) else [found]
    rows = [row if isinstance(row, dict) else {"text": json.dumps(row, ensure_ascii=False)} for row in rows]
    return {"data_output": rows[0] if len(rows) == 1 else {"results": rows}, "dataframe_output": rows}


#: Component types that stand for one provider each, with the provider's name.
_PROVIDER_TYPES: Final = {
    "OpenAIModel": "OpenAI",
    "ChatOpenAI": "OpenAI",
    "OpenAIModelComponent": "OpenAI",
    "AnthropicModel": "Anthropic",
    "GoogleGenerativeAIModel": "Google Generative AI",
    "GroqModel": "Groq",
    "MistralModel": "Mistral",
    "CohereModel": "Cohere",
    "OpenRouterComponent": "OpenRouter",
    "OllamaModel": "Ollama",
    "LMStudioModel": "LM Studio",
    "vLLMModel": "vLLM",
    "AzureOpenAIModel": "Azure OpenAI",
    "PerplexityModel": "Perplexity",
    "HuggingFaceModel": "Hugging Face",
    "NovitaModel": "Novita",
    "SambaNovaModel": "SambaNova",
    "NVIDIAModelComponent": "NVIDIA",
    "AIMLModel": "AI/ML API",
    "DeepSeekModelComponent": "DeepSeek",
    "xAIModel": "xAI",
    "CometAPIModel": "CometAPI",
    "BaiduQianfanChatModel": "Baidu Qianfan",
    "Maritalk": "Maritaca",
    "IBMwatsonxModel": "IBM watsonx.ai",
    "WatsonxAIComponent": "IBM watsonx.ai",
    "AmazonBedrockConverseModel": "Amazon Bedrock",
    "AmazonBedrockModel": "Amazon Bedrock",
    "VertexAiModel": "Vertex AI",
}

#: The classes of some of these, which files name that speak of a bundle: ``ext:ollama:ChatOllamaComponent@official``.
_CLASSES: Final = {
    "AzureOpenAIModel": "AzureChatOpenAIComponent",
    "CohereModel": "CohereComponent",
    "AmazonBedrockModel": "AmazonBedrockComponent",
    "AmazonBedrockConverseModel": "AmazonBedrockConverseComponent",
    "CometAPIModel": "CometAPIComponent",
    "GoogleGenerativeAIModel": "GoogleGenerativeAIComponent",
    "HuggingFaceModel": "HuggingFaceEndpointsComponent",
    "Maritalk": "MaritalkModelComponent",
    "MistralModel": "MistralAIModelComponent",
    "OllamaModel": "ChatOllamaComponent",
    "PerplexityModel": "PerplexityComponent",
    "SambaNovaModel": "SambaNovaComponent",
    "VertexAiModel": "ChatVertexAIComponent",
    "vLLMModel": "VllmComponent",
    "BaiduQianfanChatModel": "QianfanChatEndpointComponent",
}


#: Names under which these types go about that somebody has changed a little.
_ALIASES: Final = {
    "LMStudioModel": ("LMStudioModelComponent", "lmstudio_docker"),
    "WatsonxAIComponent": ("WatsonxComponent",),
    "OllamaModel": ("ChatOllama", "ChatOllamaModel"),
    "AzureOpenAIModel": ("AzureChatOpenAI",),
    "AnthropicModel": ("AnthropicModelComponent", "ChatAnthropic"),
}


def _type_of(type_name: str, provider: str) -> type[LanguageModel]:
    """Return the component type of one provider."""
    words = {"OpenAIModel": "OpenAI", "GoogleGenerativeAIModel": "Google Generative AI"}
    return type(
        type_name,
        (LanguageModel,),
        {
            "__doc__": f"Send a question to a model of {provider}, or provide the model to other components.",
            "type_name": type_name,
            "aliases": (*((_CLASSES[type_name],) if type_name in _CLASSES else ()), *_ALIASES.get(type_name, ())),
            "display_name": words.get(type_name, provider),
            "provider_name": provider,
        },
    )


MODEL_TYPES: Final[tuple[type[LanguageModel], ...]] = (
    LanguageModel,
    *(_type_of(name, provider) for name, provider in _PROVIDER_TYPES.items()),
)
