"""Long values of records: stored as blobs, and whole again."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hook_agent import HookAgent, InvalidEventError
from service import Service

PNG = b"\x89PNG\r\n\x1a\n" + bytes((n * 7919) % 253 for n in range(300_000))


def blob(service: Service, reference: Any) -> bytes:
    name = reference["$blob"][len("sha256:") :]
    return service.bytes(f"/api/sessions/s-1/blobs/{name}")


def test_a_text_of_a_megabyte_and_images_are_stored_as_blobs(service: Service, agent: HookAgent) -> None:
    text = "a line of the output\n" * 50_000
    encoded = base64.b64encode(PNG).decode()
    url = f"data:image/png;base64,{encoded}"
    blocks = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded}}]
    agent.log_action({"type": "tool_result", "output": text, "n": 0})
    agent.log_response({"type": "user_message", "text": "look", "blocks": blocks, "url": url, "raw": PNG})
    assert agent.sync.flush(30)
    action = service.get("/api/actions/s-1")[0]
    assert action["truncated"] == {"output": len(text)}
    assert action["output"].startswith("a line") and len(action["output"]) < 65_536
    assert blob(service, action["blobs"]["output"]).decode() == text
    said = agent.sync.restore()["responses"][0]
    reference = said["blocks"][0]["source"]["data"]
    assert reference["mediaType"] == "image/png" and reference["bytes"] == len(PNG)
    assert blob(service, reference) == PNG
    assert said["url"]["prefix"] == "data:image/png;base64,"
    assert said["raw"]["prefix"] == "base64:"
    assert {said[name]["$blob"] for name in ("url", "raw")} == {reference["$blob"]}
    assert agent.stats()["blobs"] == 4
    assert agent.stats()["shortened"] == 0


def test_a_record_with_an_image_of_eleven_megabytes_is_taken(service: Service, agent: HookAgent) -> None:
    image = PNG + bytes(11 * 1024 * 1024)
    agent.log_action({"type": "tool_result", "output": [{"type": "image", "data": image, "mimeType": "image/png"}]})
    assert agent.sync.flush(30)
    action = service.get("/api/actions/s-1")[0]
    assert blob(service, action["output"][0]["data"]) == image


def test_without_blobs_records_are_as_they_were(
    service: Service, agent: HookAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_AGENT_BLOBS", "off")
    assert agent.sync.log_action({"text": "x" * 1_000_000})["seq"] == 1
    assert len(service.get("/api/actions/s-1")[0]["text"]) == 1_000_000
    with pytest.raises(InvalidEventError):
        agent.log_action({"text": "x" * 11_000_000})
