"""How fast is `ame compile`? The ratio of its CPU time to parsing and dumping the same YAML with libyaml.

    python benchmarks/compile.py                      # 1,000 models and 3,000 tasks, about a minute
    python benchmarks/compile.py --pipelines          # a third of the tasks are pipelines of three steps

Compared are reading the ame.yml, compiling it, proving the Jobs (once for each distinct shape; Prefect is
imported before) and writing the prefect.yaml, and what any such program must at least do: loading and dumping
the ame.yml as plain YAML. Memory is the most that Python objects take at once, for these and for half as many
models.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from ame.compile import compile_projects, prefect_yaml
from ame.pools import prove
from ame.spec import load_project

MODEL = """\
  - name: model-{i}
    training: {{task: {{taskRef: train-{i}}}, schedule: "{minute} 3 * * *", timezone: Europe/Berlin}}
    validation: {{task: {{taskRef: validate-{i}}}, thresholds: {{roc_auc: {{min: 0.62}}}}}}
    abTest:
      data: {{dataSet: holdout-{i}}}
      label: late
      primary: {{metric: roc_auc, margin: 0.002}}
      resources: {{cpu: 2, memory: 8G}}
"""
TASKS = """\
  - name: train-{i}
    fromTemplate: gpu
    executor: !pip {{pythonVersion: "3.11", command: python train.py --model {i}}}
    env: [{{key: SEED, val: {i}}}]
    retries: 2
    timeout: 2h
  - name: validate-{i}
    executor: !pip {{command: python validate.py}}
    resources: {{cpu: 1, memory: 2G}}
  - name: prepare-{i}
    executor: !pip {{command: python prepare.py}}
    resources: {{cpu: 500m, memory: 4G, storage: 30G}}
"""
PIPELINE = """\
  - name: train-{i}
    fromTemplate: gpu
    executor: !pip {{pythonVersion: "3.11", command: python train.py --model {i}}}
    env: [{{key: SEED, val: {i}}}]
    retries: 2
    timeout: 2h
  - name: validate-{i}
    executor: !pip {{command: python validate.py}}
    resources: {{cpu: 1, memory: 2G}}
  - name: prepare-{i}
    resources: {{cpu: 500m, memory: 4G, storage: 30G}}
    pipeline:
      - - {{name: images, executor: !pip {{command: python images.py}}}}
        - {{name: texts, executor: !pip {{command: python texts.py}}}}
      - {{name: join, executor: !pip {{command: python join.py}}}}
"""
DATA_SET = "  - {{name: holdout-{i}, path: data/holdout-{i}.parquet, task: {{taskRef: prepare-{i}}}}}\n"
TEMPLATES = "templates:\n  - {name: gpu, resources: {cpu: 4, memory: 16G, nvidia.com/gpu: 1}}\n"


def ame_yml(models: int, tasks: str = TASKS) -> str:
    """A project with three tasks and a data set for each model."""
    every = range(models)
    return "".join(
        [
            "name: large\nmodels:\n",
            *(MODEL.format(i=i, minute=i % 60) for i in every),
            "tasks:\n",
            *(tasks.format(i=i) for i in every),
            "dataSets:\n",
            *(DATA_SET.format(i=i) for i in every),
            TEMPLATES,
        ]
    )


class _Loader(yaml.CSafeLoader):
    """Loads the executors' tags as the mappings that they are."""


_Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_mapping(node, deep=True))


def parse_and_dump(text: str) -> None:
    yaml.dump(yaml.load(text, _Loader), Dumper=yaml.CSafeDumper, sort_keys=False)  # noqa: S506  # safe


def compile_file(folder: Path) -> str:
    project = load_project(folder)
    deployments = compile_projects([project], target="kubernetes", base=folder)
    prove(deployments)
    return prefect_yaml([project], deployments, target="kubernetes", base=folder)


def _least(function: Callable[[], object], times: int) -> float:
    """The least CPU seconds of several runs."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best


def _most_memory(models: int, tasks: str) -> float:
    """MB that Python objects take at once."""
    with _project(models, tasks) as folder:
        tracemalloc.start()
        compile_file(folder)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most / 1e6


@contextmanager
def _project(models: int, tasks: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "ame.yml").write_text(ame_yml(models, tasks))
        yield Path(name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pipelines", action="store_true")
    arguments = parser.parse_args()
    models, tasks = arguments.models, PIPELINE if arguments.pipelines else TASKS
    with _project(models, tasks) as folder:
        written = compile_file(folder)
        ours = _least(lambda: compile_file(folder), arguments.times)
        text = (folder / "ame.yml").read_text()
        floor = _least(lambda: parse_and_dump(text), arguments.times)
    print(
        f"{models:,} models, {3 * models:,} tasks -> "
        f"{written.count(chr(10) + '- name: '):,} deployments, {len(written) / 1e6:.1f} MB"
    )
    print(f"compile {ours:.2f} s, parse and dump {floor:.2f} s, ratio {ours / floor:.2f}")
    half, whole = _most_memory(models // 2, tasks), _most_memory(models, tasks)
    print(f"memory {whole:.0f} MB, for half as many models {half:.0f} MB")


if __name__ == "__main__":
    main()
