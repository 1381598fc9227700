"""Components of the playground's tests: one speaks slowly, one fails, and one shows its steps."""

from __future__ import annotations

from flowrunner import Component, Input, Message, Output, hookimpl, make_content_block, make_properties

_PAUSE = 0.05


class Slow(Component):
    """Say numbers, one after the other, until the text's number is reached or the run is stopped."""

    type_name = "Slow"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("message", "Message"),)
    blocking = True

    def run(self, context, /, *, input_value):
        text = str(getattr(input_value, "text", input_value))
        said = ""
        for number in range(int(text) if text.isdecimal() else 5):
            context.cancelled.wait(_PAUSE)
            piece = f"word{number} "
            said += piece
            yield piece
        return {"message": Message(text=said)}


class Broken(Component):
    """Fail, and say why."""

    type_name = "Broken"
    inputs = (Input("input_value", "str"), Input("password", "secret"))
    outputs = (Output("message", "Message"),)

    def run(self, context, /, *, input_value, password):
        raise ValueError(f"nothing can be done with {getattr(input_value, 'text', input_value)}")


class Steps(Component):
    """Answer with the steps that an agent would show."""

    type_name = "Steps"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("message", "Message"),)

    def run(self, context, /, *, input_value):
        text = getattr(input_value, "text", input_value)
        step = {"type": "tool_use", "name": text, "tool_input": {"query": text}, "output": text, "duration": 1200}
        block = make_content_block(text or "Steps", [{"type": "text", "text": text}, step])
        return {"message": Message(text=text, content_blocks=(block,))}


class Told(Component):
    """Answer as a model does that says what the answer took."""

    type_name = "Told"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("message", "Message"),)

    def run(self, context, /, *, input_value):
        properties = make_properties(
            source={"id": context.vertex_id, "display_name": "Told", "source": "gpt-told"},
            usage={"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "cached_tokens": 800},
            timing={"time_to_first_token": 0.4, "seconds": 2.0},
        )
        return {"message": Message(text="long", properties=properties)}


@hookimpl
def register_components(register):
    for component in (Slow, Broken, Steps, Told):
        register(component)
