"""`ame pools` on a real Prefect server: made once, changed only when something changed, never taken away."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
from pathlib import Path

import httpx
import prefect.context
import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings

from ame.cli import cli
from ame.diagnosis import Refused
from ame.pools import KINDS, base_job_template
from ame.pools.automations import LOST_RUNS

NAMES = [f"ame-{kind}" for kind in KINDS]


def pools(*arguments):
    outcome = CliRunner().invoke(cli, ["pools", *map(str, arguments)])
    if outcome.exception and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome


def refused(*arguments):
    with pytest.raises(Refused) as found:
        pools(*arguments)
    return str(found.value)


@pytest.fixture
def server(embedded, tmp_path):
    """The tests' server without our pools, and the process set to use it."""
    with (
        prefect.context.use_profile("ephemeral", include_current_context=False),
        temporary_settings({PREFECT_API_URL: embedded.servers.prefect}),
        get_client(sync_client=True) as client,
    ):
        yield client
        for name in NAMES:
            delete(client, name)
        for automation in client.read_automations_by_name(LOST_RUNS):
            client.delete_automation(automation.id)


def elsewhere(url, key=None):
    """The settings of a process that is to talk to another address."""
    return temporary_settings({PREFECT_API_URL: url, PREFECT_API_KEY: key})


def delete(client, name):
    try:
        client.request("DELETE", "/work_pools/{name}", path_params={"name": name})
    except (httpx.HTTPStatusError, ObjectNotFound):
        return


def default_of(client, pool, variable):
    return client.read_work_pool(pool).base_job_template["variables"]["properties"][variable].get("default")


def test_the_pools_are_created_then_left_then_updated(server):
    assert pools("apply").stdout == (
        "ame-control  created\name-cpu      created\name-gpu      created\name-spark    created\n"
        f"automation '{LOST_RUNS}' created\n"
    )
    assert server.read_work_pool("ame-gpu").base_job_template == base_job_template("gpu")
    assert [
        (server.read_work_pool(name).type, server.read_work_pool(name).concurrency_limit) for name in NAMES
    ] == [("kubernetes", None)] * 4

    assert [line.split()[-1] for line in pools("apply").stdout.splitlines()] == ["unchanged"] * 5

    changed = pools(
        "apply", "--image", "registry.example/ame:2", "--namespace", "ml", "--service-account", "runs"
    )
    assert changed.stdout == "".join(
        [
            *(f"{name:<11}  updated: image, namespace, service_account_name\n" for name in NAMES[:-1]),
            # A driver of Spark keeps the account that has the rights to start executors.
            "ame-spark    updated: image, namespace\n",
            f"automation '{LOST_RUNS}' unchanged\n",
        ]
    )
    assert default_of(server, "ame-cpu", "image") == "registry.example/ame:2"
    assert default_of(server, "ame-cpu", "namespace") == "ml"
    assert default_of(server, "ame-cpu", "service_account_name") == "runs"
    assert default_of(server, "ame-spark", "service_account_name") == "ame-spark"


def test_a_dry_run_changes_nothing(server):
    assert pools("apply", "--dry-run").stdout == (
        "ame-control  would be created\name-cpu      would be created\name-gpu      would be created\n"
        "ame-spark    would be created\n"
        f"automation '{LOST_RUNS}' would be created\n"
    )
    with pytest.raises(ObjectNotFound):
        server.read_work_pool("ame-cpu")

    pools("apply")
    assert pools("apply", "--dry-run", "--image", "other:1").stdout.splitlines()[1] == (
        "ame-cpu      would be updated: image"
    )
    assert default_of(server, "ame-cpu", "image") != "other:1"


def test_a_script_reads_one_object(server):
    told = json.loads(pools("apply", "--json").stdout)

    assert told == {
        "dryRun": False,
        "pools": [{"name": name, "action": "created", "changes": []} for name in NAMES],
        "automation": {"name": LOST_RUNS, "action": "created", "changes": []},
        "diagnoses": [],
    }


def test_the_automation_is_brought_up_to_date_and_stays_disabled(server):
    pools("apply")
    (made,) = server.read_automations_by_name(LOST_RUNS)
    edited = AutomationCore(**made.model_dump(exclude={"id", "owner_resource"}))
    edited.description, edited.enabled = "by hand", False
    server.update_automation(made.id, edited)

    assert pools("apply").stdout.splitlines()[-1] == f"automation '{LOST_RUNS}' updated: description"
    (found,) = server.read_automations_by_name(LOST_RUNS)
    assert (found.description, found.enabled) == (made.description, False)


def test_process_pools_have_prefects_own_template(server):
    assert pools("apply", "--target", "process").stdout.count("created") == 5
    assert pools("apply", "--target", "process").stdout.count("unchanged") == 5
    assert server.read_work_pool("ame-gpu").type == "process"


def test_the_file_of_values_sets_defaults_for_all_pools_and_for_one(server, tmp_path):
    file = tmp_path / "values.yml"
    file.write_text(
        "image: registry.example/ame:3\n"
        "service_account_name: runs\n"
        "env_from: [{secretRef: {name: mlflow}}]\n"
        "pools:\n"
        "  gpu:\n"
        "    node_selector: {gpu: true}\n"
        "    limits: {memory: 8Gi, cpu: 2}\n"
        "  ame-cpu: {image: registry.example/small:3, active_deadline_seconds: 90}\n"
        "  spark: {image: registry.example/spark:3, service_account_name: driver}\n"
    )

    pools("apply", "--values", file)

    assert default_of(server, "ame-control", "image") == "registry.example/ame:3"
    assert default_of(server, "ame-cpu", "image") == "registry.example/small:3"
    assert default_of(server, "ame-cpu", "active_deadline_seconds") == 90
    assert default_of(server, "ame-gpu", "env_from") == [{"secretRef": {"name": "mlflow"}}]
    assert default_of(server, "ame-gpu", "node_selector") == {"gpu": "true"}
    assert default_of(server, "ame-gpu", "limits") == {"memory": "8Gi", "cpu": "2"}
    assert default_of(server, "ame-cpu", "node_selector") is None
    assert default_of(server, "ame-cpu", "service_account_name") == "runs"
    assert default_of(server, "ame-spark", "service_account_name") == "driver"
    assert default_of(server, "ame-spark", "image") == "registry.example/spark:3"


def test_a_pool_that_was_edited_by_hand_is_left_and_told(server):
    pools("apply")
    template = base_job_template("cpu")
    template["variables"]["properties"]["limits"]["default"] = {"memory": "64Gi"}
    template["job_configuration"]["job_manifest"]["spec"]["backoffLimit"] = 6
    server.update_work_pool("ame-cpu", WorkPoolUpdate(base_job_template=template))

    assert refused("apply", "--image", "other:1") == (
        "AME-E834 the work pool 'ame-cpu' was edited since it was applied, and is left as it is. "
        "An update would change image, limits, job_manifest.spec.backoffLimit. "
        "Change it through `ame pools apply` and its --values file, or replace what is there with --force."
    )
    assert default_of(server, "ame-gpu", "image") != "other:1"  # all pools, or none

    assert pools("apply", "--force").stdout.splitlines()[1] == (
        "ame-cpu      updated: limits, job_manifest.spec.backoffLimit"
    )
    assert server.read_work_pool("ame-cpu").base_job_template == base_job_template("cpu")


def test_a_pool_of_others_is_left_and_told(server):
    server.create_work_pool(WorkPoolCreate(name="ame-gpu", type="process"))
    foreign = base_job_template("cpu", defaults={"image": "theirs"})
    del foreign["ame-flows"]
    server.create_work_pool(WorkPoolCreate(name="ame-cpu", type="kubernetes", base_job_template=foreign))

    assert refused("apply", "--force") == (
        "AME-E833 the work pool 'ame-gpu' is of the type 'process', not 'kubernetes'. Prefect cannot change the "
        "type of a pool. Apply with another --target, or delete it: prefect work-pool delete ame-gpu"
    )
    delete(server, "ame-gpu")
    assert refused("apply") == (
        "AME-E834 the work pool 'ame-cpu' was not made by `ame pools apply`, and is left as it is. "
        "An update would change image. "
        "Change it through `ame pools apply` and its --values file, or replace what is there with --force."
    )
    with pytest.raises(ObjectNotFound):
        server.read_work_pool("ame-control")


def test_a_concurrency_limit_on_the_control_pool_is_a_warning(server):
    pools("apply")
    server.update_work_pool("ame-control", WorkPoolUpdate(concurrency_limit=3))
    server.update_work_pool("ame-gpu", WorkPoolUpdate(concurrency_limit=3))

    assert pools("apply").stderr == (
        "AME-W820 the work pool 'ame-control' has a concurrency limit of 3. Its runs wait for runs that they "
        "start; when they fill the pool, they wait for ever. "
        "Run: prefect work-pool clear-concurrency-limit ame-control\n"
    )
    assert server.read_work_pool("ame-control").concurrency_limit == 3


def test_the_server_takes_the_quantities_of_a_gpu_task_as_texts_only(server):
    pools("apply")
    flow = server.create_flow_from_name("pools-test")

    server.create_deployment(
        flow, "text", work_pool_name="ame-gpu", job_variables={"limits": {"nvidia.com/gpu": "1"}}
    )
    with pytest.raises(httpx.HTTPStatusError, match="1 is not of type"):
        server.create_deployment(
            flow, "number", work_pool_name="ame-gpu", job_variables={"limits": {"nvidia.com/gpu": 1}}
        )


def test_the_values_file_says_all_that_is_wrong_with_its_places(tmp_path):
    file = tmp_path / "values.yml"
    file.write_text(
        "imag: x\n"
        "image_pull_policy: Sometimes\n"
        "finished_job_ttl: soon\n"
        "tolerations: {key: a}\n"
        "image: [a]\n"
        "image: b\n"
        "pools:\n"
        "  gpuu: {}\n"
        "  gpu: {node_selectr: {}, node_selector: many}\n"
    )

    told = refused("apply", "--values", file)

    variables = ", ".join(sorted([*base_job_template("cpu")["variables"]["properties"], "pools"]))
    assert told.replace(f"{file}:", "") == (
        f"AME-E835 1:1 there is no variable 'imag'. Known variables: {variables}. Did you mean 'image'?\n"
        "AME-E836 2:20 'image_pull_policy' is one of IfNotPresent, Always, Never.\n"
        "AME-E836 3:19 'finished_job_ttl' wants a whole number of seconds.\n"
        "AME-E836 4:14 'tolerations' wants a list here.\n"
        "AME-E836 5:8 'image' wants a text here.\n"
        "AME-E835 6:1 'image' is given twice.\n"
        "AME-E835 8:3 there is no pool 'gpuu'. Known pools: control, cpu, gpu, spark. Did you mean 'gpu'?\n"
        f"AME-E835 9:9 there is no variable 'node_selectr'. Known variables: {variables}. "
        "Did you mean 'node_selector'?\n"
        "AME-E836 9:42 a mapping is wanted here."
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "image: [",
            "AME-E835 {file}:2:1 the values file is not YAML: expected the node content, but found '<stream end>'.",
        ),
        ("- image", "AME-E836 {file}:1:1 a mapping is wanted here."),
    ],
)
def test_a_broken_values_file_is_told(tmp_path, text, told):
    file = tmp_path / "values.yml"
    file.write_text(f"{text}\n")

    assert refused("apply", "--values", file) == told.format(file=file)


def test_defaults_of_which_kubernetes_takes_no_job_are_refused_before_the_server_is_asked(tmp_path):
    file = tmp_path / "values.yml"
    file.write_text("pools: {gpu: {limits: {memory: 10Q}, labels: {team: a b}}}\n")

    assert refused("apply", "--values", file) == (
        f"AME-E836 {file} Kubernetes would refuse the Jobs of ame-gpu: limits.memory is '10Q', which is no quantity. "
        "'Q' is no suffix of Kubernetes, which has n u m k M G T P E and Ki Mi Gi Ti Pi Ei.\n"
        f"AME-E836 {file} Kubernetes refuses the label 'team'. A label's value has at most 63 letters, digits and "
        "- _ . , with a letter or digit at both ends, or is empty."
    )
    assert refused("apply", "--namespace", "My Team").partition("\n")[0] == (
        "AME-E836 command line Kubernetes would refuse the Jobs of ame-control: metadata.namespace is 'My Team', "
        "which Kubernetes takes for no name. A namespace has at most 63 small letters, digits and - , with a letter "
        "or digit at both ends."
    )


def test_the_options_of_kubernetes_do_not_go_with_processes():
    outcome = pools("apply", "--target", "process", "--image", "x")

    assert outcome.exit_code == 2
    assert "--image, --namespace, --service-account and --values are for Kubernetes." in outcome.stderr


def test_without_a_server_it_says_so_and_starts_none(
    no_servers_of_others, leaves_no_process, monkeypatch, tmp_path
):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with prefect.context.use_profile("ephemeral", include_current_context=False):
        assert refused("apply") == (
            "AME-E830 no Prefect server is named. Deployments, work pools and blocks are on a server that workers "
            "reach, not on the one that `ame run` starts. Set PREFECT_API_URL, for example to http://HOST:4200/api, or choose a "
            "profile with `prefect profile use`."
        )


def test_a_server_that_does_not_answer_is_told_within_seconds_and_without_its_key():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    start = time.monotonic()

    with elsewhere(f"http://user:pnu_secret@127.0.0.1:{port}/api", key="pnu_secret"):
        told = refused("apply")

    assert told == (
        f"AME-E831 the Prefect server at http://127.0.0.1:{port}/api does not answer. "
        "ConnectError: [Errno 111] Connection refused. Start it, or correct PREFECT_API_URL."
    )
    assert time.monotonic() - start < 8


def test_a_server_that_hangs_is_told_after_the_time_it_had(monkeypatch):
    monkeypatch.setattr("ame.prefect_server._SECONDS_TO_ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with elsewhere(url):
            told = refused("apply")

    assert told == (
        f"AME-E831 the Prefect server at {url} does not answer. ReadTimeout: timed out. "
        "Start it, or correct PREFECT_API_URL."
    )


def test_an_address_without_a_scheme_is_told():
    with elsewhere("localhost:4200/api"):
        told = refused("apply")

    assert told.startswith("AME-E831 the Prefect server at localhost:4200/api does not answer. ")
    assert told.endswith("Start it, or correct PREFECT_API_URL.")


@contextlib.contextmanager
def stand_in(on_read, on_create, said):
    """A server that answers as Prefect Cloud does to those whom it lets do nothing."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(on_read)

        def do_POST(self):
            self._answer(on_create)

        def _answer(self, status):
            body = json.dumps({"detail": said}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}/api"
        finally:
            running.shutdown()
            thread.join()


def test_a_key_that_the_server_refuses_is_told_and_not_shown():
    with stand_in(401, 401, "Invalid authentication credentials") as url, elsewhere(url, key="pnu_secret"):
        told = refused("apply")

    assert told == (
        f"AME-E832 the Prefect server at {url} refuses: status 401. "
        'It says: {"detail": "Invalid authentication credentials"} '
        "Set PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING, with the right to change what it holds."
    )


def test_a_plan_without_such_pools_is_told():
    with stand_in(404, 403, "your plan does not support hybrid work pools") as url, elsewhere(url):
        told = refused("apply")

    assert told == (
        f"AME-E832 the Prefect server at {url} refuses: status 403. "
        'It says: {"detail": "your plan does not support hybrid work pools"} '
        "Set PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING, with the right to change what it holds."
    )


def test_the_committed_files_and_the_command_make_the_same_pools(server):
    for name in NAMES:
        file = Path(__file__).parents[2] / f"infra/kubernetes/work-pools/{name.removeprefix('ame-')}.json"
        template = json.loads(file.read_text())
        server.create_work_pool(WorkPoolCreate(name=name, type="kubernetes", base_job_template=template))

    assert pools("apply").stdout.count("unchanged") == 4


def test_the_address_of_the_ui_is_told(server, embedded):
    with elsewhere(embedded.servers.prefect.removesuffix("/api")):
        told = refused("apply")

    assert told == (
        f"AME-E832 what answers at {embedded.servers.prefect.removesuffix('/api')} is not Prefect's API. "
        "PREFECT_API_URL ends in /api, as in http://HOST:4200/api."
    )


def test_one_template_is_printed_and_four_are_written(tmp_path):
    folder = tmp_path / "work-pools"

    assert json.loads(pools("template", "gpu").stdout) == base_job_template("gpu")
    assert refused("templates", "--output", folder, "--check") == (
        f"AME-E829 stale or missing in {folder}: control.json, cpu.json, gpu.json, spark.json. "
        f"Run: ame pools templates --output {folder}"
    )
    assert (
        pools("templates", "--output", folder).stdout
        == f"{folder}: control.json, cpu.json, gpu.json, spark.json written\n"
    )
    (folder / "cpu.json").write_text("{}")
    assert refused("templates", "--output", folder, "--check").startswith(
        f"AME-E829 stale or missing in {folder}: cpu.json."
    )
    assert pools("templates", "--output", folder).stdout == f"{folder}: cpu.json written\n"
    assert pools("templates", "--output", folder, "--check").stdout == f"{folder}: unchanged\n"
    assert Path(folder / "gpu.json").read_text().endswith("}\n")
