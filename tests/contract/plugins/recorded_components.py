"""Three components that some of the recorded flows use: one fails, one is random, one holds secrets."""

from __future__ import annotations

import secrets

from flowrunner import Component, Input, Message, Output, hookimpl


class Boom(Component):
    """Fail, and say why."""

    type_name = "Boom"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("output"),)

    def run(self, context, /, *, input_value):
        raise ValueError(f"boom: {input_value}")


class Rnd(Component):
    """Give another text each time."""

    type_name = "Rnd"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("output"),)

    def run(self, context, /, *, input_value):
        return {"output": Message(text=f"rnd-{secrets.token_hex(16)}", flow_id=context.flow_id)}


class Sec(Component):
    """Give an object with members that nobody should see in a log."""

    type_name = "Sec"
    inputs = (
        Input("input_value", "str"),
        Input("api_key", "secret"),
        Input("password", "str"),
        Input("short_token", "str"),
        Input("plain", "str"),
    )
    outputs = (Output("output", "Data"),)

    def run(self, context, /, *, input_value, api_key, password, short_token, plain):
        return {
            "output": {
                "text": input_value,
                "api_key": "sk-abcdefghijklmnopqrstuvwxyz",
                "nested": {
                    "token": "tok",
                    "authorization": "Bearer abcdefghijklmnop",
                    "list": [{"password": "0123456789abcdef"}],
                },
                "plain": "x",
            }
        }


@hookimpl
def register_components(register):
    for component in (Boom, Rnd, Sec):
        register(component)
