"""LangChain's own runnable keeps its history in our store, and a flow goes on with it."""

from __future__ import annotations

import pytest

from flowrunner.testing.model_script import say
from tests.engine.rig import FLOW_ID
from tests.installed import require

require("langchain_core")


@pytest.mark.filterwarnings("ignore")
def test_a_runnable_with_message_history_and_a_flow_share_a_conversation(house, model):
    from langchain_core.messages import AIMessage
    from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
    from langchain_core.runnables import RunnableLambda
    from langchain_core.runnables.history import RunnableWithMessageHistory

    from flowrunner.integrations.langchain import ConversationHistory

    prompts = []

    def answer(prompt):
        prompts.append([(m.type, m.content) for m in prompt.to_messages()])
        return AIMessage(f"answer {len(prompts)}")

    prompt = ChatPromptTemplate([MessagesPlaceholder("history"), ("human", "{question}")])
    memory = house.memory.for_owner("owner")
    chain = RunnableWithMessageHistory(
        prompt | RunnableLambda(answer),
        ConversationHistory.factory(memory, flow_id=FLOW_ID),
        input_messages_key="question",
        history_messages_key="history",
    )
    config = {"configurable": {"session_id": "shared"}}
    for number in (1, 2):
        assert chain.invoke({"question": f"question {number}"}, config).content == f"answer {number}"
    assert prompts[1] == [("human", "question 1"), ("ai", "answer 1"), ("human", "question 2")]

    model.script(say("answer 3"))
    house.chat("question 3", kind="Agent", settings={"system_prompt": ""}, session_id="shared")
    assert house.asked() == [
        ("user", "question 1"),
        ("assistant", "answer 1"),
        ("user", "question 2"),
        ("assistant", "answer 2"),
        ("user", "question 3"),
    ]
