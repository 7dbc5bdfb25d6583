"""A webhook that was called before follows every change of its flow and of its trigger at once."""
import requests

FLOW = """\
id: hooked
namespace: e2e
disabled: {disabled}
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: {key}
tasks:
  - id: a
    type: io.kestra.plugin.core.debug.Return
    format: x
"""


def call(weir, key):
    return requests.post(f"{weir.url}/api/v1/main/executions/webhook/e2e/hooked/{key}", timeout=30)


def update(weir, **values):
    answer = weir.api("PUT", "flows/e2e/hooked", data=FLOW.format(**values).encode(),
                      headers={"Content-Type": "application/x-yaml"})
    assert answer.status_code == 200, answer.text


def test_a_webhook_follows_changes_of_its_flow(weir):
    weir.create_flow(FLOW.format(key="one", disabled="false"))
    for _ in range(3):
        assert call(weir, "one").json()["flowRevision"] == 1
        assert call(weir, "two").status_code == 404
    update(weir, key="two", disabled="false")
    for _ in range(3):
        assert call(weir, "one").status_code == 404
        assert call(weir, "two").json()["flowRevision"] == 2
    update(weir, key="two", disabled="true")
    assert call(weir, "two").status_code == 409
    update(weir, key="two", disabled="false")
    assert call(weir, "two").status_code == 200
    assert weir.api("DELETE", "flows/e2e/hooked").status_code == 204
    assert call(weir, "two").status_code == 404


def test_a_webhook_that_is_switched_off_starts_nothing(weir):
    weir.create_flow(FLOW.format(key="one", disabled="false"))
    assert call(weir, "one").status_code == 200
    state = {"namespace": "e2e", "flowId": "hooked", "triggerId": "hook", "disabled": True}
    answer = weir.api("PUT", "triggers", json=state)
    assert answer.status_code == 200, answer.text
    assert call(weir, "one").status_code == 404
    answer = weir.api("PUT", "triggers", json={**state, "disabled": False})
    assert answer.status_code == 200, answer.text
    assert call(weir, "one").status_code == 200
