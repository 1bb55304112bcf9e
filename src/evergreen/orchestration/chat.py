"""Chat: what happens to models, and runs that crash or wait, told by the webhook of a chat.

EVERGREEN_WEBHOOK is its address, a secret. It is sent {"text": ...}, as Slack, Mattermost, Google
Chat and Rocket.Chat take it. Mail and others: Prefect's page, Automations and Blocks.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from evergreen.errors import InputError
from evergreen.extensions import Event
from evergreen.orchestration.automations import save

WEBHOOK = "EVERGREEN_WEBHOOK"
SECONDS = 10.0  # that the chat may take
BLOCK = "evergreen-chat"
# What no run can tell of itself; the project's notifiers tell the rest
TOLD = ("prefect.flow-run.Crashed", "prefect.flow-run.Late")


def address() -> str:
    """Return the webhook's address, '' where there is none.

    Raises InputError where it is no address.
    """
    url = os.environ.get(WEBHOOK, "").strip()
    if url and not url.startswith(("https://", "http://")):
        raise InputError(f"{WEBHOOK} is no address of a webhook: it begins with https://")
    return url


def tell_chat(event: Event) -> None:
    """Send an event as a line.

    Raises InputError where the chat does not take it; its address is in no message.
    """
    content = json.dumps({"text": str(event)}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(address(), content, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(f"the chat of {WEBHOOK} refused it ({error.code})") from None
    except (OSError, ValueError, HTTPException) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise InputError(f"the chat of {WEBHOOK} does not answer ({why})") from None


def tell_of_runs(package: str) -> None:
    """Let Prefect tell the chat of runs that crash or are late, where there is a webhook.

    package: that of the project, as its work pool is called.
    """
    if not address():
        return
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block: Any = CustomWebhookNotificationBlock(
        name=BLOCK,
        url="{{address}}",
        json_data={"text": "{{subject}}: {{body}}"},
        secrets={"address": address()},
        timeout=SECONDS,
    )
    save(automation(package, block.save(BLOCK, overwrite=True)))


def automation(package: str, block_id: Any) -> dict[str, Any]:
    """Return Prefect's automation about runs of a work pool; `block_id`: of who is told."""
    return {
        "name": f"{package}: tell the chat of runs that crash or are late",
        "trigger": {
            "type": "event",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": {
                "prefect.resource.role": "work-pool",
                "prefect.resource.name": package,
            },
            "expect": list(TOLD),
            "for_each": ["prefect.resource.id"],
            "posture": "Reactive",
            "threshold": 1,
        },
        "actions": [
            {
                "type": "send-notification",
                "block_document_id": block_id,
                "subject": package,
                "body": "run {{ flow_run.name }} of {{ flow.name }}: {{ flow_run.state.name }}",
            }
        ],
    }
