"""The driver's pod as the cluster's API shows it, and the pod of an executor made in its likeness."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ame.diagnosis import Diagnosis, Refused

__all__ = ["executor_template", "main_container", "read_pod"]

_SECONDS = 10
_WORKSPACE = "/workspace"
#: Of the driver's pod: where it may run, as whom, and with which rights on images.
_SHARED = (
    "serviceAccountName",
    "securityContext",
    "imagePullSecrets",
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "hostAliases",
    "dnsPolicy",
    "dnsConfig",
)
#: Prefect's own labels stay away, or its worker takes an executor for the flow run's pod.
_OURS = "ame-flows/"
#: What only the driver needs: Prefect's settings and key, names of Prefect's blocks, and who the driver is.
_DRIVERS_OWN = ("PREFECT_", "POD_", "AME_MLFLOW_SERVER", "AME_ARTIFACT_STORE")


def read_pod(api: str, namespace: str, name: str, *, account: Path) -> dict[str, Any]:
    """The pod, asked for with the service account's own token.

    Args:
        api: for example `https://10.0.0.1:443`.
        account: the folder that Kubernetes mounts the service account at: `token`, `ca.crt`.

    Raises:
        Refused: AME-E838 when the account may not read it, or nobody answers.
    """
    import httpx

    trusted = ssl.create_default_context(cafile=account / "ca.crt")
    token = account.joinpath("token").read_text().strip()
    try:
        with httpx.Client(verify=trusted, trust_env=False, timeout=_SECONDS) as client:
            answer = client.get(
                f"{api}/api/v1/namespaces/{namespace}/pods/{name}",
                headers={"Authorization": f"Bearer {token}"},
            )
    except httpx.HTTPError as error:
        raise Refused(_unread(namespace, name, f"{api} does not answer: {error}.", _CONNECT)) from None
    if answer.status_code != httpx.codes.OK:
        why = f"Kubernetes answers {answer.status_code}: {_message(answer)}"
        raise Refused(_unread(namespace, name, why, _ALLOW))
    pod: dict[str, Any] = answer.json()
    return pod


_CONNECT = "See that a network policy lets the pod reach the cluster's API."
_ALLOW = (
    "Give its service account the rights of infra/kubernetes/spark-rbac.yaml: "
    "kubectl apply -n NAMESPACE -f spark-rbac.yaml"
)


def _unread(namespace: str, name: str, why: str, fix: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E838",
        what=f"the Spark driver's own pod '{namespace}/{name}' cannot be read.",
        why=why,
        fix=fix.replace("NAMESPACE", namespace),
    )


def _message(answer: Any) -> str:
    try:
        found = answer.json()
    except ValueError:
        found = None
    return str(found["message"]) if isinstance(found, dict) and found.get("message") else "nothing more."


def main_container(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The one that runs the flow: sidecars that a webhook adds stand before or after it."""
    containers: list[dict[str, Any]] = pod["spec"]["containers"]
    return next((each for each in containers if each["name"] == "prefect-job"), containers[0])


def executor_template(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template of an executor; Spark adds image, resources, arguments, its own variables and volumes.

    Variables that come from secrets stay references to them. A value that stands in the driver's pod in
    clear stands in the executor's as well, for the same readers. The service account is the driver's, for
    clouds that bind an identity to it, and its token is not mounted: no executor talks to Kubernetes.
    """
    spec, container = pod["spec"], main_container(pod)
    metadata = pod["metadata"]
    own = {
        part: {key: text for key, text in (metadata.get(part) or {}).items() if key.startswith(_OURS)}
        for part in ("labels", "annotations")
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {part: texts for part, texts in own.items() if texts},
        "spec": {
            **{key: spec[key] for key in _SHARED if spec.get(key)},
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [
                {
                    "name": "executor",
                    "workingDir": _WORKSPACE,
                    "env": [each for each in container.get("env", ()) if not _is_drivers_own(each["name"])],
                    "envFrom": container.get("envFrom") or [],
                    "securityContext": container.get("securityContext") or {},
                    "volumeMounts": [
                        {"name": "workspace", "mountPath": _WORKSPACE},
                        {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
                    ],
                }
            ],
            "volumes": [
                {"name": "workspace", "emptyDir": {}},
                {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
            ],
        },
    }


def _is_drivers_own(name: str) -> bool:
    return name.startswith(_DRIVERS_OWN)
