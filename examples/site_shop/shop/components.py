"""What the shop adds to flows."""

import re

from flowrunner import Component, Input, Message, Output, text_of


class FindOrder(Component):
    """Say how an order is doing, if it is the customer's own."""

    type_name = "FindOrder"
    inputs = (Input("question", required=True),)
    outputs = (Output("answer"),)

    def run(self, context, /, *, question):
        from shop.models import Order

        number = re.search(r"\d+", text_of(question))
        order = Order.of_customer(context.owner, int(number[0])) if number else None
        told = f"Order {order.id} ({order.what}) is {order.state}." if order else "I know no such order of yours."
        return {"answer": Message(text=told)}
